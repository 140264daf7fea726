// A round of deployments that a message asked for: is it still wanted, what came of it, and when to look again.

import { settlesWithin } from '../concurrency.ts';
import type { Cluster, ControlPlane } from '../control-plane.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { keyOf } from '../kubernetes/paths.ts';
import { formatTime } from '../units.ts';
import { callForRound } from './call-for-round.ts';
import { type ApplicationReport, type ReconcileReport, reconcileShard } from './reconcile.ts';
import { isRoundTooLate } from './schedule.ts';
import { openShard, type ShardName } from './shard.ts';

export interface RoundRequest extends ShardName {
  /** Epoch milliseconds. */
  readonly dueTime: number;
  /** The end of its minute, epoch milliseconds. */
  readonly until: number;
  /** namespace/name of those to look at. Default: all of the shard. */
  readonly applications?: readonly string[] | undefined;
}

/** How many applications a round looked at, and what became of them. */
export interface RoundFigures {
  /** Whether it was the whole shard that was looked at. */
  readonly isWhole: boolean;
  readonly applications: number;
  readonly inTransition: number;
  /** Their last deploy has failed; what ran before runs on. */
  readonly deploysFailed: number;
  /** The round itself could not do for them what it should. */
  readonly failures: number;
}

/** From one look at an application on its way to the next. */
export const COME_BACK_SECONDS = 2;

/** So often those that are done are told: a JobManager that hangs delays no deployment but its own. */
export const PATIENCE_MILLISECONDS = 3000;

/**
 * Runs one round, unless it comes a whole minute late. Applications that are on their way call for the next round, up to the
 * end of the minute: then the next minute's round looks after them, so that calls never pile up.
 *
 * @throws TerminalError when configuration knows no such shard; ControlPlaneError when the applications cannot be listed
 */
export async function runRound(
  plane: ControlPlane,
  { cluster: name, shard, dueTime, until, applications: only }: RoundRequest,
  finish: (figures: RoundFigures, durationMilliseconds: number) => void,
): Promise<void> {
  const startTime = await plane.now();
  if (isRoundTooLate(dueTime, startTime)) {
    plane.log.warn('round dropped', {
      cluster: name,
      shard,
      dueTime: formatTime(dueTime),
      reason: 'a whole minute late',
    });
    return;
  }
  const { cluster, namespaces } = await openShard(plane, { cluster: name, shard });
  const comeBack = (onTheirWay: readonly string[]) => callForThose(plane, { cluster: name, shard, until }, onTheirWay);
  const { applications } = await reconcileByAndBy(plane, { cluster, namespaces, only }, comeBack);
  const now = await plane.now();
  const figures = count(applications, only === undefined);
  if (figures.inTransition + figures.failures > 0)
    plane.log.info('round', { cluster: name, shard, ...figures, durationMilliseconds: now - startTime });
  finish(figures, now - startTime);
}

/** What a round looks at. */
export interface Scope {
  readonly cluster: Cluster;
  readonly namespaces: Namespaces;
  /** Default: all of the shard. */
  readonly only?: readonly string[] | undefined;
}

/**
 * Reconciles, and calls back every few seconds with those (namespace/name) that are done by then and want to be looked at again
 * soon: they can go on without waiting for one that is slow.
 *
 * @throws ControlPlaneError when the applications cannot be listed
 */
export async function reconcileByAndBy(
  plane: Pick<ControlPlane, 'now' | 'log'>,
  { cluster, namespaces, only }: Scope,
  comeBack: (onTheirWay: readonly string[]) => void | Promise<void>,
): Promise<ReconcileReport> {
  const onTheirWay: string[] = [];
  const onReport = (report: ApplicationReport) => void (report.comesBack && onTheirWay.push(keyOf(report)));
  const reconciling = reconcileShard(plane, cluster, namespaces, { onReport, ...(only && { only }) });
  try {
    while (!(await settlesWithin(reconciling, PATIENCE_MILLISECONDS))) await comeBack(onTheirWay.splice(0));
    await comeBack(onTheirWay.splice(0));
  } finally {
    // A function that ended before would take its steps up again whenever it is called next, minutes after they were decided.
    await reconciling.catch(() => {});
  }
  return reconciling;
}

/** Calls for the next round over those that are on their way. */
async function callForThose(
  plane: ControlPlane,
  minute: ShardName & Pick<RoundRequest, 'until'>,
  applications: readonly string[],
): Promise<void> {
  const dueTime = (await plane.now()) + COME_BACK_SECONDS * 1000;
  if (dueTime >= minute.until) return;
  await callForRound(plane, { ...minute, dueTime, applications, delaySeconds: COME_BACK_SECONDS });
}

function count(applications: readonly ApplicationReport[], isWhole: boolean): RoundFigures {
  const having = (holds: (report: ApplicationReport) => boolean) => applications.filter(holds).length;
  return {
    isWhole,
    applications: applications.length,
    inTransition: having(({ outcome }) => outcome === 'inTransition'),
    deploysFailed: having(({ phase }) => phase === 'DeployFailed'),
    failures: having(({ outcome }) => outcome === 'failed'),
  };
}
