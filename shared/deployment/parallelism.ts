// The unit of scaling is the TaskManager; parallelism follows.

import type { ScaleBasis } from '../scaling/types.ts';
import { ceilDivide } from '../units.ts';

/** Slots of a TaskManager where nothing is said: Lyft's default, kept so that applications mean the same here. */
export const DEFAULT_TASK_SLOTS = 16;

/** What a FlinkApplication says of its size. */
export interface SizeSpec {
  readonly parallelism: number;
  /** Of one TaskManager. */
  readonly taskSlots: number;
  /** spec.taskManagerConfig.replicas; absent until it is seeded. */
  readonly replicas?: number;
}

interface SizedSpec {
  readonly parallelism: number;
  readonly taskManagerConfig?: { readonly taskSlots?: number; readonly replicas?: number };
}

/** What a spec says of its size. */
export function sizeSpecOf({ parallelism, taskManagerConfig }: SizedSpec): SizeSpec {
  const { taskSlots = DEFAULT_TASK_SLOTS, replicas } = taskManagerConfig ?? {};
  return { parallelism, taskSlots, ...(replicas !== undefined && { replicas }) };
}

/** TaskManagers that a parallelism needs: parallelism 3 with 2 slots needs 2. */
export function taskManagersFor({ parallelism, taskSlots }: ScaleBasis): number {
  return ceilDivide(parallelism, taskSlots);
}

/**
 * The parallelism the job runs with: as written while `replicas` is only what was derived from it (parallelism 3 with
 * 2 slots stays 3 on 2 TaskManagers), every slot of them once somebody has scaled (4 TaskManagers × 2 slots = 8).
 */
export function effectiveParallelism({ parallelism, taskSlots, replicas }: SizeSpec): number {
  if (replicas === undefined || replicas === taskManagersFor({ parallelism, taskSlots })) return parallelism;
  return replicas * taskSlots;
}

/** What has to be written so that `replicas` and its basis agree with what the user wrote. */
export type Seed =
  /** Nobody has set a size yet. The basis goes first: a size that follows from a known basis is made again if it is lost. */
  | { readonly kind: 'first'; readonly replicas: number }
  /** The user edited parallelism or taskSlots. The size goes first: while the basis is the old one, the edit is not forgotten. */
  | { readonly kind: 'edited'; readonly replicas: number }
  /** A size is there, but not what it was derived from: the size stands as it is. */
  | { readonly kind: 'adopted' };

/** Decides whether `replicas` must be derived anew; an edit of parallelism is never silently ignored. */
export function planSeed(size: SizeSpec, basis: ScaleBasis | undefined): Seed | undefined {
  const replicas = taskManagersFor(size);
  if (size.replicas === undefined) return { kind: 'first', replicas };
  if (basis === undefined) return { kind: 'adopted' };
  const isEdited = basis.parallelism !== size.parallelism || basis.taskSlots !== size.taskSlots;
  return isEdited ? { kind: 'edited', replicas } : undefined;
}
