// How a job is ended with its state safe. Flink can stop it (stop-with-savepoint): sources end, transactions of sinks are committed,
// and the job is FINISHED; or it can be cancelled when its savepoint is complete. The one is better, the other works for every job.

import { known, type Scene } from './scene.ts';
import type { Effect } from './types.ts';

export interface EndingJob {
  readonly hash: string;
  readonly jobId: string;
  /** Written down before. To Flink an id means one and the same to both ways, so that it ends a job once. */
  readonly triggerId: string;
  /** It could not be stopped. */
  readonly cancels: boolean;
}

/** Ends a job with a savepoint. */
export function endWithSavepoint(scene: Scene, { hash, jobId, triggerId, cancels }: EndingJob): Effect {
  if (cancels || isTooOld(flinkVersionOf(scene, hash)))
    return { kind: 'TriggerSavepoint', hash, jobId, triggerId, cancelJob: true };
  return { kind: 'StopJob', hash, jobId, triggerId, drain: scene.options.drainsOnStop };
}

function flinkVersionOf({ observation }: Scene, hash: string): string {
  return known(observation.jobManagers.get(hash)?.overview)?.flinkVersion ?? '';
}

/** Before 1.15 Flink chooses the id of a stop itself: one that is asked for again would be a second one, and end the first. */
function isTooOld(version: string): boolean {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  return major === '1' && Number(minor) < 15;
}
