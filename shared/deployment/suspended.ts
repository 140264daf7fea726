// Suspended: no pods, no job, and a savepoint to resume from. Whatever changes in the spec meanwhile is what resumes.

import { findRefusal, tornDown } from './at-rest.ts';
import { beginNewCluster } from './begin.ts';
import { leftoverHashes, removal } from './remove-cluster.ts';
import { normal, type Scene, stay, type Transition, telling } from './scene.ts';
import { clauses } from './sentences.ts';
import { beginningPath, holdsJob, isSuspensionWanted } from './suspension.ts';

export function keepSuspended(scene: Scene): Transition {
  const { desired } = scene;
  const left = leftoverHashes(scene);
  const removing = left.flatMap((hash) => removal(scene, hash));
  if (left.length > 0) return telling(stay(scene, removing), ...tornDown(removing));
  if (isSuspensionWanted(scene) || 'faults' in desired || findRefusal(scene) !== undefined) return stay(scene);
  const path = beginningPath(scene);
  const from = path === '' ? 'without state' : `from ${path}`;
  return telling(
    beginNewCluster(scene, desired),
    normal('Resuming', `spec.suspend is no longer set: ${desired.name} is deployed ${from}`),
  );
}

/** How things stand, for a condition. */
export function describeSuspension(scene: Scene): string {
  const { desired, status } = scene;
  const { savepointTime } = status.suspension ?? {};
  const isResumed = holdsJob(status.suspension);
  const path = beginningPath(scene);
  const saved = savepointTime === undefined ? '' : `, saved at ${savepointTime}`;
  const from = path === '' ? 'without state' : `from ${path}${isResumed ? saved : ''}`;
  const target = 'name' in desired ? desired.name : 'the application';
  const verb = isResumed ? 'resumes' : 'is deployed';
  if (isSuspensionWanted(scene)) return `${target} ${verb} ${from} when spec.suspend is false`;
  const refusal = findRefusal(scene)?.message;
  const why = 'faults' in desired ? `the spec cannot be deployed: ${clauses(...desired.faults)}` : refusal;
  return `${target} ${verb} ${from}${why === undefined ? '' : `, but ${why}`}`;
}
