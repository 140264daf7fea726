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
  /** Whoever replaced the object, or applied a manifest without a size, took the size away that was there. */
  | { readonly kind: 'restored'; readonly replicas: number }
  /** The user edited parallelism or taskSlots. The size goes first: while the basis is the old one, the edit is not forgotten. */
  | { readonly kind: 'edited'; readonly replicas: number }
  /** A size is there, but not what it was derived from: the size stands as it is. */
  | { readonly kind: 'adopted' };

/**
 * Decides whether `replicas` must be derived anew; an edit of parallelism is never silently ignored.
 *
 * @param basis what the size was derived from, as far as is known
 * @param lastReplicas the last size that is known for this basis, at least 1
 */
export function planSeed(size: SizeSpec, basis: ScaleBasis | undefined, lastReplicas?: number): Seed | undefined {
  const replicas = taskManagersFor(size);
  if (basis !== undefined && !isSameBasis(basis, size)) return { kind: 'edited', replicas };
  if (size.replicas === undefined)
    return lastReplicas === undefined ? { kind: 'first', replicas } : { kind: 'restored', replicas: lastReplicas };
  return basis === undefined ? { kind: 'adopted' } : undefined;
}

/** Whether a size that was derived from one holds for the other. */
export function isSameBasis(one: ScaleBasis | undefined, other: ScaleBasis): boolean {
  return one?.parallelism === other.parallelism && one.taskSlots === other.taskSlots;
}
