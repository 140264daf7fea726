// What a deploy came to, and what must be true however it came to it.

import { expect } from 'vitest';
import type { Run } from '../../infra/sandbox/ledger.ts';
import type { Deployments } from './deployments.ts';

/** What must be the same whatever happened to the processes that deployed it. Ids and instants are left out. */
export function outcomeOf(deployments: Deployments): object {
  const application = deployments.find();
  const {
    phase,
    currentRevision,
    deployHash,
    deployVersion,
    rollout,
    savepointTriggerId,
    savepointPath,
    failedDeploy,
  } = application === undefined ? {} : deployments.status();
  return {
    phase,
    currentRevision,
    deployHash,
    deployVersion,
    kindOfRollout: rollout?.kind,
    isSaving: savepointTriggerId !== undefined || savepointPath !== undefined,
    failure: failedDeploy?.reason,
    conditions: application && deployments.conditions(),
    spec: application?.spec,
    finalizers: application?.metadata.finalizers,
    deployments: deployments.deployments(),
    services: deployments.services(),
    // Ids of clusters follow from the versions of the application.
    configMaps: deployments.configMaps().map((name) => name.replace(/-[a-z0-9]{6}-([0-9a-f]{32}|cluster)-/, '-…-')),
    pods: deployments.pods().map((pod) => pod.split('-').slice(0, -2).join('-')),
    revisions: deployments.revisions(),
    jobs: deployments.livingJobs().map(({ cluster, state, parallelism }) => `${cluster} ${state} ${parallelism}`),
    runs: deployments.runs().map(describeRun),
    clustersOfRuns: deployments.runs().map(({ cluster }) => cluster),
    savepoints: deployments.savepoints().length,
  };
}

/** "orders:2 4 RUNNING from savepoint" */
function describeRun({ image, parallelism, state, restoredFrom = 'nothing' }: Run): string {
  const origin = /savepoint|chk|nothing/.exec(restoredFrom)?.[0];
  return `${image} ${parallelism} ${state} from ${origin}`;
}

/** Never two jobs at once, never a record lost or counted twice, never a savepoint too many; and what runs goes on. */
export async function expectNothingLost(
  deployments: Deployments,
  { isBlueGreen = false, goesBack = false }: { readonly isBlueGreen?: boolean; readonly goesBack?: boolean } = {},
): Promise<void> {
  const runs = deployments.runs();
  if (!isBlueGreen) expectAloneAtAnyTime(deployments);
  const disposed = disposedOf(deployments);
  for (const [index, run] of runs.entries())
    if (!disposed.has(run.restoredFrom))
      expect(startOf(run)).toEqual(
        latestState(deployments, {
          earlier: runs.slice(0, index),
          ...run,
          countsSavepointsAlone: isBlueGreen || goesBack,
        }),
      );
  for (const triggerIds of triggersByJob(deployments).values()) expect(triggerIds).toHaveLength(1);
  if (deployments.find() !== undefined) expectTheRightJob(deployments);
  expectCounting(deployments);
}

/** At no time was there a second job, whether it counted records or not. */
export function expectAloneAtAnyTime(deployments: Deployments): void {
  expect(deployments.ledger()).toMatchObject({ overlapSeconds: 0, aliveTogetherSeconds: 0 });
}

/** Savepoints that were disposed of when another job ran: what was begun from them before was checked by whoever began it. */
function disposedOf({ sandbox }: Deployments): ReadonlySet<unknown> {
  const disposals = sandbox.requests.filter(
    ({ method, path }) => method === 'POST' && path.endsWith('/savepoint-disposal'),
  );
  return new Set(disposals.map(({ body }) => (body as Record<string, unknown>)['savepoint-path']));
}

/** Under which ids a savepoint was asked for, by the path of the job. */
function triggersByJob({ sandbox }: Deployments): ReadonlyMap<string, readonly unknown[]> {
  const saves = /\/(savepoints|stop)$/;
  const triggers = sandbox.requests.filter(({ method, path }) => method === 'POST' && saves.test(path));
  const byJob = Map.groupBy(triggers, ({ path }) => path.replace(saves, ''));
  const idsOf = (requests: typeof triggers) => requests.map(({ body }) => (body as { triggerId?: string }).triggerId);
  return new Map([...byJob].map(([path, requests]) => [path, [...new Set(idsOf(requests))]]));
}

/** The job of the status is the one that runs, and the selector selects its TaskManagers and no others. */
function expectTheRightJob(deployments: Deployments): void {
  const { jobStatus, selector, rollout } = deployments.status();
  const ids = [rollout?.jobId, jobStatus?.jobID].filter((id) => id !== undefined);
  const living = deployments.livingJobs().map(({ id }) => id);
  expect(living.toSorted()).toEqual(ids.toSorted());
  expect(deployments.select(selector ?? '')).toEqual(deployments.taskManagers());
}

function expectCounting(deployments: Deployments): void {
  const before = deployments.livingJobs();
  deployments.sandbox.clock.advance(10);
  const after = deployments.livingJobs();
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  for (const [index, { count }] of after.entries()) expect(count).toBe((before[index]?.count ?? 0) + 1000);
}

const startOf = ({ restoredFrom, startCount }: Run) => ({ restoredFrom, startCount });

interface Submission {
  readonly earlier: readonly Run[];
  readonly submittedTime: number;
  /** The job before goes on taking checkpoints that are its own, or is not to be gone on with. */
  readonly countsSavepointsAlone: boolean;
}

/** The newest in the object store when a job was submitted: nothing that was counted after it was kept anywhere. */
function latestState(deployments: Deployments, { earlier, submittedTime, countsSavepointsAlone }: Submission): object {
  const ids = earlier.map(({ jobId }) => jobId);
  const [latest] = deployments.sandbox.flink
    .snapshots()
    .filter(
      ({ jobId, time, isSavepoint }) =>
        ids.includes(jobId) && time <= submittedTime && (isSavepoint || !countsSavepointsAlone),
    )
    .sort((a, b) => b.count - a.count || Number(b.isSavepoint) - Number(a.isSavepoint));
  return { restoredFrom: latest?.path, startCount: latest?.count ?? 0 };
}
