// A JobManager without high availability that dies while a job is handed to it: its TaskManagers live on, and refuse a job under an
// id that they know from the dead one.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../support/deploy-outcome.ts';
import { aDeployedApplication, anApplication, type Deployments, NEXT_IMAGE } from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** A job is seen at once when it has been submitted, and nothing of it runs yet; so long it takes to reach the TaskManagers. */
const ON_TASK_MANAGERS_SECONDS = 3;

/** Rounds until the JobManager of the deploy has the job, and then until that JobManager is dead. */
async function killAfterSubmission(): Promise<void> {
  await orders.roundsUntil(() => {
    const { isSubmitted, jobId } = orders.status().rollout ?? {};
    return isSubmitted === true && orders.livingJobs().some(({ id }) => id === jobId);
  });
  orders.sandbox.clock.advance(ON_TASK_MANAGERS_SECONDS);
  orders.killJobManager(orders.status().rollout?.hash);
}

/** The process that submits a job dies with the call, and so does the JobManager before anybody has looked. */
async function killUnseen(): Promise<void> {
  let isDead = false;
  const refuse = () => {
    if (isDead) throw new Error('this process is dead');
  };
  const { hooks, clock } = orders.sandbox;
  const stops = [
    hooks.before(refuse),
    hooks.after(({ method, path }) => {
      isDead ||= method === 'POST' && path.endsWith('/run');
      refuse();
    }),
  ];
  while (!isDead) {
    await orders.round().catch(() => {});
    clock.advance(2);
  }
  for (const stop of stops) stop();
  clock.advance(ON_TASK_MANAGERS_SECONDS);
  orders.killJobManager(orders.status().rollout?.hash);
}

const jobsOf = (image: string) => orders.runs().filter((run) => run.image === image);

describe.each([
  ['right after it was seen to have the job', killAfterSubmission],
  ['before anybody has seen that it has the job', killUnseen],
])('a JobManager that dies %s', (_, kill) => {
  it('costs a deploy the first submission, and nothing else', async () => {
    orders = await aDeployedApplication();
    orders.changeImage();

    await kill();
    await orders.roundsUntil('Running');

    const [first, second, ...others] = jobsOf(NEXT_IMAGE);
    expect(others).toEqual([]);
    expect([first?.state, second?.state]).toEqual(['LOST', 'RUNNING']);
    expect(second?.jobId).not.toBe(first?.jobId);
    expect(second?.restoredFrom).toBe(first?.restoredFrom);
    expect(orders.status().jobStatus).toMatchObject({ jobID: second?.jobId, state: 'RUNNING' });
    expect(orders.phases()).not.toContain('RollingBackJob');
    expectAloneAtAnyTime(orders);
  });

  it('costs a first deploy no more', async () => {
    orders = await anApplication();

    await kill();
    await orders.roundsUntil('Running');

    expect(orders.runs().map(({ state }) => state)).toEqual(['LOST', 'RUNNING']);
    expect(orders.phases()).not.toContain('DeployFailed');
  });

  it('costs a rescale with a savepoint no more', async () => {
    orders = await aDeployedApplication({ scaleMode: 'InPlace' });
    await orders.scale(4);

    await kill();
    await orders.roundsUntil('Running');

    expect(orders.runs().map(({ parallelism, state }) => [parallelism, state])).toEqual([
      [4, 'FINISHED'],
      [8, 'LOST'],
      [8, 'RUNNING'],
    ]);
    expectAloneAtAnyTime(orders);
  });

  it('costs a restart from the latest checkpoint no more', async () => {
    orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint' });
    await orders.roundsUntil(() => orders.status().jobStatus?.lastCheckpoint !== undefined);
    orders.killJobManager();

    await kill();
    await orders.roundsUntil('Running');

    expect(orders.runs().map(({ state }) => state)).toEqual(['LOST', 'LOST', 'RUNNING']);
    expect(new Set(orders.runs().map(({ jobId }) => jobId)).size).toBe(3);
    expect(orders.status().failedDeploy).toBeUndefined();
  });
});

it('is not tried with for ever: a job that takes its JobManager down each time is given up', async () => {
  orders = await aDeployedApplication();
  orders.changeImage();

  for (let times = 0; times < 5; times += 1) await killAfterSubmission();
  await orders.roundsUntil('DeployFailed');

  expect(jobsOf(NEXT_IMAGE).map(({ state }) => state)).toEqual(Array(5).fill('LOST'));
  expect(orders.status().failedDeploy?.message).toMatch(
    /was restarted and has lost job [0-9a-f]{32}, the 5th of this deploy/,
  );
  expect(orders.livingJobs()).toMatchObject([{ state: 'RUNNING' }]);
});

it.each(['seen', 'unseen'])(
  'gives the old job another id when its JobManager dies in a rollback (%s)',
  async (look) => {
    orders = await aDeployedApplication({ timeouts: { verticesSeconds: 6 } });
    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'no such topic' });
    orders.changeImage();
    const { deployHash } = orders.status();
    await orders.roundsUntil(() => orders.status().rollout?.rollbackJobId !== undefined);

    if (look === 'seen') await orders.roundsUntil(() => orders.status().rollout?.isRollbackSubmitted === true);
    else await orders.round({ id: 'last' });
    orders.sandbox.clock.advance(ON_TASK_MANAGERS_SECONDS);
    orders.killJobManager(deployHash);
    await orders.roundsUntil('DeployFailed');

    const runs = orders.runs().slice(2);
    expect(runs.map(({ state }) => state)).toEqual(['LOST', 'RUNNING']);
    expect(runs[0]?.jobId).not.toBe(runs[1]?.jobId);
    expect(orders.status()).toMatchObject({ deployHash, jobStatus: { jobID: runs[1]?.jobId } });
    expect(orders.conditions()).toContain('Deployed False JobMonitoringFailed');
    expectAloneAtAnyTime(orders);
  },
);
