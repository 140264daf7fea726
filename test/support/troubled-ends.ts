// What must hold when every trouble is over: what the user wants runs, or it is said what is wrong and what helps.

import type { TroubledTimes } from './troubled-deploys.ts';

/** Nothing is done any more without the user: what is wanted runs, or else after the user has asked for it once more. */
export async function expectSettled(times: TroubledTimes): Promise<void> {
  await expectRest(times);
  if (times.hasFailed || runsAsItShould(times)) return expectOrder(times);
  expectExplained(times);
  if (times.hasFailed) return;

  times.tell('the user asks for it again');
  times.orders.edit((spec) => ({ ...spec, restartNonce: 'as the documents say' }));
  await times.pass(15);
  await expectRest(times);
  if (times.hasFailed || runsAsItShould(times)) return expectOrder(times);
  expectExcused(times);
}

/** So many tries in a row that fail, and it is not going to come right. */
const TRIES = 12;

/** It comes to rest, and when it is said to be tried again it is waited for. */
async function expectRest(times: TroubledTimes): Promise<void> {
  const { orders, judge } = times;
  const { clock } = orders.sandbox;
  for (let tries = 0; tries < TRIES; tries += 1) {
    await times.pass(15);
    let calm = 0;
    const isOver = await times.until(() => {
      calm = times.isOnItsWay() || hasLeftovers(times) ? 0 : calm + 1;
      return calm > 3;
    });
    if (!isOver) times.complain(`it does not come to rest: ${describe(times)}`);
    const { retryTime } = orders.status().failedDeploy ?? {};
    if (times.hasFailed || retryTime === undefined || runsAsItShould(times) || !judge.hasState()) return;
    clock.set(Math.max(clock.now(), Date.parse(retryTime)) + 1000);
  }
  const { reason } = orders.status().failedDeploy ?? {};
  const mayRestart = judge.specNow().flinkConfig?.['restart-strategy.type'] !== 'none';
  // To Flink a job whose TaskManagers are taken has failed: one that may not restart cannot shrink in place.
  const isRefused = reason === 'SavepointRefused' || (reason === 'JobEnded' && !mayRestart);
  if (!isRefused) times.complain(`it fails again and again: ${describe(times)}`);
}

/** Something is still to be looked at, or to be tidied up. */
function hasLeftovers({ orders }: TroubledTimes): boolean {
  return (
    orders.application().metadata.generation !== orders.status().observedGeneration ||
    orders.deployments().length > 2 ||
    orders.pods().length !== orders.wantedPods()
  );
}

function runsAsItShould({ orders }: TroubledTimes): boolean {
  const { phase, rollout, conditions = [], failedDeploy } = orders.status();
  const [job, ...others] = orders.livingJobs();
  const isSaidToRun = phase === 'Running' && conditions.every(({ status }) => status === 'True');
  const isOver = rollout === undefined && failedDeploy === undefined;
  return isSaidToRun && isOver && job?.state === 'RUNNING' && others.length === 0;
}

/** What the spec says runs, and nothing else is there. */
function expectOrder(times: TroubledTimes): void {
  if (times.hasFailed) return;
  const { orders, judge } = times;
  const spec = judge.specNow();
  const status = orders.status();
  const [job] = orders.livingJobs();
  const run = orders.runs().findLast(({ jobId, state }) => jobId === job?.id && state === 'RUNNING');
  const { replicas = 0, taskSlots = 1 } = spec.taskManagerConfig ?? {};
  const isDerived = status.scaleBasis !== undefined && replicas === Math.ceil(spec.parallelism / taskSlots);
  const seen = {
    image: run?.image,
    programArgs: run?.programArgs.join(' '),
    parallelism: job?.parallelism,
    jobID: status.jobStatus?.jobID,
    numberOfTaskManagers: status.clusterStatus?.numberOfTaskManagers,
    taskManagers: orders.taskManagers().length,
    selected: orders.select(status.selector ?? ''),
    objects: [...orders.deployments(), ...orders.services()].length,
    leftover: [status.savepointPath, status.savepointTriggerId, status.lastSeenError, status.retryCount].filter(
      Boolean,
    ),
  };
  const expected = {
    image: spec.image,
    programArgs: spec.programArgs ?? '',
    parallelism: isDerived ? spec.parallelism : replicas * taskSlots,
    jobID: job?.id,
    numberOfTaskManagers: replicas,
    taskManagers: replicas,
    selected: orders.taskManagers(),
    objects: 4,
    leftover: [],
  };
  if (JSON.stringify(seen) !== JSON.stringify(expected))
    times.complain(`what runs is not what is wanted: ${JSON.stringify({ seen, expected })}`);
  orders.sandbox.clock.advance(10);
  const [after] = orders.livingJobs();
  if (after?.id !== job?.id || after?.count !== (job?.count ?? 0) + 1000)
    times.complain(`the job does not count: ${JSON.stringify([job, after])}`);
}

/** Something does not run: it is said what, and what can begin again by itself does. */
function expectExplained(times: TroubledTimes): void {
  const { orders, judge } = times;
  const { phase, failedDeploy, conditions = [] } = orders.status();
  const deployed = conditions.find(({ type }) => type === 'Deployed');
  const running = conditions.find(({ type }) => type === 'JobRunning');
  if (phase === 'DeployFailed') {
    const isSaid = failedDeploy !== undefined && deployed?.status === 'False';
    if (!isSaid) times.complain(`it is not said what failed: ${describe(times)}`);
    return;
  }
  const isSaid =
    running?.status === 'False' && ['JobLost', 'JobFailed', 'JobCanceled', 'JobStopped'].includes(running.reason);
  if (!isSaid) times.complain(`it is not said what is wrong: ${describe(times)}`);
  const isToRestart = judge.specNow().restartPolicy === 'FromLatestCheckpoint' && running?.reason !== 'JobCanceled';
  if (isToRestart && judge.hasState()) times.complain(`the job is not started again: ${describe(times)}`);
}

/** The user has done what can be done: it does not run only where no state is left to begin from, or to go on to. */
function expectExcused(times: TroubledTimes): void {
  const { orders, judge } = times;
  const { reason } = orders.status().failedDeploy ?? {};
  const { flinkConfig = {} } = judge.specNow();
  const hasDirectory = flinkConfig['state.savepoints.dir'] !== undefined;
  const keeps = flinkConfig['execution.checkpointing.externalized-checkpoint-retention'] === 'RETAIN_ON_CANCELLATION';
  const isLeftRunning = reason === 'RecoveryFailed' && orders.livingJobs().length === 1 && !keeps;
  const isRefused = reason === 'SavepointRefused' && !hasDirectory;
  const isHopeless = (reason === 'RecoveryFailed' || reason === 'RollbackFailed') && !judge.hasState();
  if (isLeftRunning || isRefused || isHopeless || judge.newest().path === undefined) return;
  times.complain(`it cannot be brought back: ${describe(times)}`);
}

/** It goes, in time, with all that belongs to it, and what ran is told where its state is. */
export async function expectDeleted(times: TroubledTimes): Promise<void> {
  const { orders, judge } = times;
  const { savepointSeconds = 300 } = judge.specNow().timeouts ?? {};
  const running = orders.livingJobs().filter(({ state }) => state === 'RUNNING');
  const start = orders.sandbox.clock.now();
  judge.expectDeletion();
  await orders.delete();
  const isGone = await times.until(() => orders.find() === undefined, 300);
  if (!isGone) times.complain(`it is not deleted: ${describe(times)}`);
  if (times.hasFailed) return;
  const seconds = (orders.sandbox.clock.now() - start) / 1000;
  if (seconds > 3 * savepointSeconds + 30) times.complain(`its deletion took ${seconds} s`);
  orders.sandbox.clock.advance(10);
  const left = [...orders.pods(), ...orders.services(), ...orders.deployments()];
  if (left.length > 0) times.complain(`it is deleted, and this is left: ${left.join(', ')}`);
  for (const { id } of running) expectSaved(times, id);
}

function expectSaved(times: TroubledTimes, id: string): void {
  const { orders, judge } = times;
  const saved = orders.savepoints().findLast(({ jobId }) => jobId === id);
  const told = orders.eventObjects().map(({ message }) => String(message));
  if (orders.events().includes('Warning DeletedWithoutSavepoint')) return;
  if (saved === undefined) times.complain(`job ${id} was deleted without a savepoint: ${judge.describeRuns()}`);
  else if (!told.some((message) => message.includes(saved.path))) times.complain(`nobody was told of ${saved.path}`);
}

function describe({ orders, judge }: TroubledTimes): string {
  const { phase, rollout, failedDeploy, conditions = [] } = orders.status();
  const said = conditions.map(({ type, status, message }) => `${type}=${status} ${message}`);
  return JSON.stringify({ phase, rollout, failedDeploy, said, newest: judge.newest(), runs: judge.describeRuns() });
}
