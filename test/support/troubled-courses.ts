// What users do to an application and what goes wrong around it, in an order and at moments that chance gives.

import fc from 'fast-check';
import type { JarSettings } from '../../infra/sandbox/images.ts';
import { ADAPTIVE, HIGHLY_AVAILABLE, type SpecOptions } from './deployments.ts';

/** What an image is like that a user wants deployed. */
export interface ImageOptions {
  readonly pullable?: boolean;
  readonly jar?: JarSettings;
}

/** `ofNew`: of the cluster that is being deployed, if there is one; else of the one that is deployed. */
export type Trouble =
  | { readonly kind: 'nothing' }
  /** The user wants another image, which is like this. */
  | { readonly kind: 'image'; readonly like: ImageOptions }
  /** The image that is wanted is like this from now on. */
  | { readonly kind: 'describe'; readonly like: ImageOptions }
  | { readonly kind: 'arguments' }
  | { readonly kind: 'parallelism'; readonly parallelism: number }
  | { readonly kind: 'scale'; readonly taskManagers: number }
  | { readonly kind: 'forceRollback'; readonly isForced: boolean }
  | { readonly kind: 'suspend'; readonly isSuspended: boolean }
  | { readonly kind: 'nonce' }
  /** The spec is put back to what ran at first. */
  | { readonly kind: 'revert' }
  | { readonly kind: 'killJobManager'; readonly ofNew: boolean }
  | { readonly kind: 'killTaskManager' }
  | { readonly kind: 'failJob'; readonly isFatal: boolean }
  | { readonly kind: 'cancelJob' }
  /** A JobManager does not answer for so long; it may do what it is asked all the same. */
  | { readonly kind: 'silence'; readonly ofNew: boolean; readonly seconds: number; readonly losesAnswers: boolean }
  /** The API server refuses so many requests. */
  | { readonly kind: 'refusal'; readonly code: number; readonly method: string; readonly times: number }
  /** A process dies at its request of this number. */
  | { readonly kind: 'killRound'; readonly requests: number; readonly fate: 'killed before' | 'killed after' }
  /** A process is slow: after so many requests it sends no more than `pace` for each round of the others. */
  | { readonly kind: 'overlap'; readonly requests: number; readonly pace: number };

/** Something happens, and then rounds. */
export interface Moment {
  readonly trouble: Trouble;
  readonly rounds: number;
  /** Pass after each round; without a round, once. */
  readonly seconds: number;
}

export interface Course {
  readonly spec: SpecOptions;
  /** It runs when the troubles begin. */
  readonly isDeployed: boolean;
  readonly moments: readonly Moment[];
  /** In the end the user deletes it. */
  readonly deletes: boolean;
}

const of = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });

const jar: fc.Arbitrary<JarSettings> = fc.oneof(
  of(4, fc.constant({})),
  of(2, fc.constant({ failsAtStart: 'no such topic' })),
  of(1, fc.constant({ mainThrows: 'no such argument' })),
  of(1, fc.constant({ mainExits: true })),
  of(2, fc.constant({ savepointFails: 'no space left' })),
  of(1, fc.constant({ savepointFails: 1 })),
  of(3, fc.record({ savepointSeconds: fc.constantFrom(3, 15, 40, 70) })),
  of(2, fc.record({ cancelSeconds: fc.constantFrom(3, 15, 40, 70) })),
  of(1, fc.constant({ checkpointFails: true })),
  of(1, fc.constant({ failsAfterSeconds: 5 })),
  of(1, fc.record({ restoreSeconds: fc.constantFrom(5, 60) })),
  of(1, fc.record({ savepointSeconds: fc.constantFrom(3, 25), cancelSeconds: fc.constantFrom(3, 25) })),
);

const image: fc.Arbitrary<ImageOptions> = fc.oneof(of(6, fc.record({ jar })), of(1, fc.constant({ pullable: false })));

const kind = <Kind extends Trouble['kind']>(name: Kind) => fc.constant(name);

const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  of(6, fc.record({ kind: kind('nothing') })),
  of(6, fc.record({ kind: kind('image'), like: image })),
  of(2, fc.record({ kind: kind('describe'), like: image })),
  of(1, fc.record({ kind: kind('arguments') })),
  of(1, fc.record({ kind: kind('parallelism'), parallelism: fc.constantFrom(2, 3, 4, 6, 8) })),
  of(3, fc.record({ kind: kind('scale'), taskManagers: fc.constantFrom(1, 2, 3, 4) })),
  of(1, fc.record({ kind: kind('forceRollback'), isForced: fc.boolean() })),
  of(2, fc.record({ kind: kind('suspend'), isSuspended: fc.boolean() })),
  of(1, fc.record({ kind: kind('nonce') })),
  of(1, fc.record({ kind: kind('revert') })),
  of(2, fc.record({ kind: kind('killJobManager'), ofNew: fc.boolean() })),
  of(2, fc.record({ kind: kind('killTaskManager') })),
  of(2, fc.record({ kind: kind('failJob'), isFatal: fc.boolean() })),
  of(1, fc.record({ kind: kind('cancelJob') })),
  of(
    2,
    fc.record({
      kind: kind('silence'),
      ofNew: fc.boolean(),
      seconds: fc.constantFrom(2, 10, 40, 100),
      losesAnswers: fc.boolean(),
    }),
  ),
  of(
    2,
    fc.record({
      kind: kind('refusal'),
      code: fc.constantFrom(500, 409, 429),
      method: fc.constantFrom('GET', 'PATCH', 'POST', 'DELETE'),
      times: fc.constantFrom(1, 2, 5, 12),
    }),
  ),
  of(
    2,
    fc.record({
      kind: kind('killRound'),
      requests: fc.nat(30),
      fate: fc.constantFrom('killed before' as const, 'killed after' as const),
    }),
  ),
  of(2, fc.record({ kind: kind('overlap'), requests: fc.nat(30), pace: fc.constantFrom(0, 1, 3) })),
);

const seconds = fc.oneof(
  of(3, fc.constantFrom(1, 2, 5)),
  of(
    2,
    fc.integer({ min: 3, max: 100 }).map((tenths) => tenths / 10),
  ),
  of(
    1,
    fc.integer({ min: 3, max: 400 }).map((tenths) => tenths / 10),
  ),
);

const moment: fc.Arbitrary<Moment> = fc.record({ trouble, rounds: fc.constantFrom(0, 1, 1, 2, 3, 5), seconds });

/** Timeouts that a course of a few minutes can reach. */
const SHORT_TIMEOUTS = { clusterStartSeconds: 60, savepointSeconds: 30, submitSeconds: 30, verticesSeconds: 20 };

const flinkConfig = fc
  .record({
    isAdaptive: fc.boolean(),
    retention: fc.oneof(
      of(3, fc.constant('RETAIN_ON_CANCELLATION')),
      of(1, fc.constantFrom('DELETE_ON_CANCELLATION', undefined)),
    ),
    retained: fc.constantFrom(undefined, undefined, 1, 3),
    interval: fc.constantFrom('10s', '10s', '10s', '3s', '60s', undefined),
    restarts: fc.constantFrom(undefined, undefined, undefined, 'none', 'fixed-delay'),
    hasSavepointDirectory: fc.oneof(of(6, fc.constant(true)), of(1, fc.constant(false))),
    highAvailability: fc.oneof(
      of(4, fc.constant({})),
      of(2, fc.constant(HIGHLY_AVAILABLE)),
      of(1, fc.constant({ ...HIGHLY_AVAILABLE, 'high-availability.type': 'zookeeper' })),
    ),
  })
  .map(({ isAdaptive, retention, retained, interval, restarts, hasSavepointDirectory, highAvailability }) => ({
    ...(isAdaptive && ADAPTIVE),
    ...highAvailability,
    'execution.checkpointing.externalized-checkpoint-retention': retention,
    ...(retained && { 'state.checkpoints.num-retained': retained }),
    'execution.checkpointing.interval': interval,
    ...(restarts && { 'restart-strategy.type': restarts }),
    ...(!hasSavepointDirectory && { 'state.savepoints.dir': undefined }),
  }));

const spec: fc.Arbitrary<SpecOptions> = fc.record({
  scaleMode: fc.constantFrom('NewCluster' as const, 'InPlace' as const),
  restartPolicy: fc.constantFrom('Never' as const, 'FromLatestCheckpoint' as const),
  savepointDisabled: fc.constantFrom(false, false, false, false, true),
  fallbackWithoutState: fc.constantFrom(false, false, true),
  timeouts: fc.constantFrom({}, SHORT_TIMEOUTS),
  // Courses are longer than the hour that is the default.
  maxCheckpointRestoreAgeSeconds: fc.constant(10_000_000),
  rollbackWindowSeconds: fc.constantFrom(60, 60, 100_000),
  savepointHistory: fc.constantFrom<{ maxCount?: number; maxAgeSeconds?: number }>(
    { maxCount: 50 },
    { maxCount: 1 },
    { maxAgeSeconds: 60 },
  ),
  periodicSavepoints: fc.constantFrom({ intervalSeconds: 1_000_000 }, { intervalSeconds: 60 }),
  flinkConfig,
});

export const courses: fc.Arbitrary<Course> = fc.record({
  spec,
  isDeployed: fc.constantFrom(true, true, true, false),
  moments: fc.array(moment, { minLength: 2, maxLength: 14 }),
  deletes: fc.constantFrom(false, false, false, false, true),
});
