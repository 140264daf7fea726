// Replicas that were asked for are not replicas that run: a FlinkApplication whose spec is invalid, whose deploy failed or that
// belongs to somebody else keeps what it has. An HPA never notices; here a condition of our own reports it.

import { setCondition } from './conditions.ts';
import type { Decision, Observation, TargetCondition } from './types.ts';

/** What a blocked deployment of the target is called in the autoscaler's condition. */
interface Blocker {
  readonly reason: 'TargetNotOwned' | 'TargetSpecInvalid' | 'TargetDeployFailed';
  /** "asked for 7, 5 run: deploy failed: …" */
  readonly message: string;
}

/** TaskManagers of the deployed cluster. @returns undefined for a target whose status does not say how it is deployed */
export function replicasRunning({ scale, targetConditions }: Observation): number | undefined {
  return targetConditions !== undefined && 'value' in scale ? (scale.value.statusReplicas ?? 0) : undefined;
}

export interface ReportInput {
  /** Absent where the target was not looked at. */
  readonly observation?: Observation;
  readonly now: number;
}

/**
 * Adds to a decision whether the target deploys what it is asked for: the condition TargetDeployed, which appears with the first
 * blocker, so that an autoscaler whose target was never blocked looks as an HPA does. While it is False, the decision's message
 * and `blocker` name the cause.
 *
 * @returns the decision, and whether there is a blocker that was not there before, or one less
 */
export function reportDeployment(
  decision: Decision,
  { observation, now }: ReportInput,
): { readonly decision: Decision; readonly isNews: boolean } {
  const { scale, targetConditions } = observation ?? {};
  const unchanged = { decision, isNews: false };
  if (targetConditions === undefined || scale === undefined || 'unreadable' in scale) return unchanged;
  const blocker = findBlocker(targetConditions, scale.value);
  const { conditions } = decision.status;
  const before = conditions.find(({ type }) => type === 'TargetDeployed');
  if (blocker === undefined && before === undefined) return unchanged;
  const next = blocker === undefined ? unblocked(targetConditions) : ({ status: 'False', ...blocker } as const);
  const status = { ...decision.status, conditions: setCondition(conditions, { type: 'TargetDeployed', ...next }, now) };
  const message = blocker === undefined ? decision.message : `${decision.message}; ${blocker.message}`;
  return {
    decision: { ...decision, message, status, ...(blocker && { blocker: blocker.message }) },
    isNews: before?.reason !== next.reason || before.message !== next.message,
  };
}

/** What follows on a blocker: the next attempt, and then its success. */
function unblocked(conditions: readonly TargetCondition[]): Omit<TargetCondition, 'type'> {
  const isDeployed = conditions.some(({ type, status }) => type === 'Deployed' && status === 'True');
  return isDeployed
    ? { status: 'True', reason: 'TargetDeployed', message: 'the target deploys what it is asked for' }
    : { status: 'Unknown', reason: 'TargetDeploying', message: 'the target is being deployed' };
}

/** Whether another operator deploys the target, or it waits to be taken over: nothing is written to it then. */
export function isNotOwned(conditions: readonly TargetCondition[] = []): boolean {
  return conditions.some(({ type, status }) => type === 'Owned' && status === 'False');
}

function findBlocker(
  conditions: readonly TargetCondition[],
  { replicas, statusReplicas = 0 }: { readonly replicas: number; readonly statusReplicas?: number },
): Blocker | undefined {
  const failed = (type: string) =>
    conditions.find((condition) => condition.type === type && condition.status === 'False');
  const because = (cause: string) => `asked for ${replicas}, ${statusReplicas} run: ${cause}`;
  const notOwned = failed('Owned');
  if (notOwned !== undefined) return { reason: 'TargetNotOwned', message: because(notOwned.message) };
  const invalid = failed('SpecValid');
  if (invalid !== undefined)
    return { reason: 'TargetSpecInvalid', message: because(`its spec is invalid: ${invalid.message}`) };
  const undeployed = failed('Deployed');
  if (undeployed !== undefined && !NO_FAILURE.includes(undeployed.reason))
    return { reason: 'TargetDeployFailed', message: because(`deploy failed: ${undeployed.message}`) };
  return undefined;
}

/** Reasons of Deployed=False that pass by themselves, or with a step of the user's. */
const NO_FAILURE = [
  'NotDeployed',
  'NotUpToDate',
  'RollingBack',
  'TearDownAwaited',
  'SizeRecorded',
  'Suspended',
  'SuspendFailed',
];

/** A job that does not run, and does not try to. */
export interface EndedJob {
  /** How it ended, and why: a sentence of the target's. */
  readonly message: string;
  /** It did not end as it should, so somebody has to look at it. */
  readonly isFault: boolean;
}

/**
 * Finds out whether the job of a target has ended, or there is none. Whatever its TaskManagers are measured to need then says nothing
 * of the work there is.
 */
export function findEndedJob({ targetConditions }: Observation): EndedJob | undefined {
  const running = targetConditions?.find(({ type }) => type === 'JobRunning');
  // One that restarts, or waits for slots, is JobNotRunning: it may be what another size would help.
  if (running?.status !== 'False' || running.reason === 'JobNotRunning') return undefined;
  return { message: running.message, isFault: !ENDED_WELL.includes(running.reason) };
}

/** Reasons of JobRunning=False that somebody wanted. */
const ENDED_WELL = ['JobFinished', 'JobStopped', 'JobCanceled', 'JobCancelling', 'Suspended'];
