import type { Phase } from '../deployment/types.ts';
import type { FlinkApplication } from '../kubernetes/flink-application.ts';
import { keyOf } from '../kubernetes/paths.ts';
import type { World } from './observe.ts';
import type { AutoscalerReport } from './scale.ts';

/** Names the FlinkApplications (namespace/name) that rest, and whose spec is not the one that reconcile has looked at. */
export function findChanged(worlds: readonly World[]): readonly string[] {
  const seen = worlds.flatMap(({ applications }) => ('value' in applications ? [...applications.value.values()] : []));
  return seen.filter(hasChanged).map(keyOf);
}

// One that has a state but was never looked at was deployed by somebody else, who may erase at each write what Headrace notes
// of its look: it is left to the minute's round, or a fleet of another operator would be called for with every tick.
function hasChanged({ generation, observedGeneration, phase }: FlinkApplication): boolean {
  const isKnown = observedGeneration > 0 || phase === '';
  return isKnown && AT_REST.has(phase) && generation !== observedGeneration;
}

/** In all other phases rounds look every few seconds already, and a second one at the same time would be in their way. */
const AT_REST: ReadonlySet<string> = new Set<Phase>(['', 'Running', 'DeployFailed', 'DualRunning', 'Suspended']);

/** Names the FlinkApplications (namespace/name) that a tick has just given another size. */
export function findRescaled(reports: readonly AutoscalerReport[]): readonly string[] {
  return reports.filter(({ outcome }) => outcome === 'rescaled').flatMap(applicationOf);
}

function applicationOf({ namespace, target }: AutoscalerReport): readonly string[] {
  const [kind, name] = target.split('/');
  return kind === 'FlinkApplication' ? [`${namespace}/${name}`] : [];
}
