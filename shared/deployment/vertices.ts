// Which vertices of a job Flink would have begun by now: of a streaming job all of them, of a batch job at least one.

import type { Job, Vertex } from './types.ts';

/**
 * The vertices that keep a job from being up.
 *
 * A batch job runs stage by stage. A vertex is CREATED, or not even listed (Flink 2.x), until the stages before it have ended, and may
 * be CREATED while others hold the slots that it needs. So once a vertex of it has begun, nothing that has not is amiss.
 */
export function findOverdueVertices({ isBatch, vertices }: Job): readonly Vertex[] {
  if (isBatch && vertices.some(hasBegun)) return [];
  return vertices.filter((vertex) => !hasBegun(vertex));
}

function hasBegun({ status }: Vertex): boolean {
  return status === 'RUNNING' || status === 'FINISHED';
}
