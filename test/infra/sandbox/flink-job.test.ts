// What holds of every simulated job, whatever is done to it.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  advance,
  cancel,
  countAt,
  type FlinkJob,
  fail,
  failureOf,
  isCounting,
  isEnded,
  type JobSettings,
  nextChangeTime,
  type SlotOffer,
  slotsOf,
  snapshotsOf,
  statusOf,
  submit,
  triggerSavepoint,
} from '../../../infra/sandbox/flink-job.ts';
import { settingsOf, verticesOf } from '../../../infra/sandbox/job-submission.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const recordsPerSecond = 10;

type Act =
  | { readonly kind: 'slots'; readonly slots: readonly number[] }
  | { readonly kind: 'savepoint' | 'cancel with savepoint' | 'stop' | 'fail' | 'fail for good' | 'cancel' }
  | { readonly kind: 'wait'; readonly seconds: number };

const acts: fc.Arbitrary<Act> = fc.oneof(
  { arbitrary: fc.record({ kind: fc.constant('wait' as const), seconds: fc.nat(40) }), weight: 4 },
  {
    arbitrary: fc.record({ kind: fc.constant('slots' as const), slots: fc.array(fc.nat(3), { maxLength: 4 }) }),
    weight: 2,
  },
  fc.record({ kind: fc.constantFrom('savepoint' as const, 'fail' as const) }),
  fc.record({
    kind: fc.constantFrom(
      'cancel with savepoint' as const,
      'stop' as const,
      'cancel' as const,
      'fail for good' as const,
    ),
  }),
);

const settings: fc.Arbitrary<JobSettings> = fc
  .record({
    isAdaptive: fc.boolean(),
    parallelism: fc.integer({ min: 1, max: 6 }),
    checkpointSeconds: fc.constantFrom(undefined, 1, 7),
    behaviour: fc.record({
      savepointSeconds: fc.nat(10),
      savepointFails: fc.nat(2),
      restoreSeconds: fc.nat(5),
      cancelSeconds: fc.nat(3),
    }),
  })
  .map(({ isAdaptive, parallelism, checkpointSeconds, behaviour }) => {
    const properties = {
      'execution.checkpointing.dir': 's3://state',
      ...(isAdaptive && { 'jobmanager.scheduler': 'adaptive' }),
      ...(checkpointSeconds !== undefined && { 'execution.checkpointing.interval': `${checkpointSeconds} s` }),
    };
    const context = {
      behaviour: { ...behaviour, recordsPerSecond },
      properties,
      request: { parallelism },
      snapshot: undefined,
    };
    const vertices = verticesOf(context);
    return settingsOf({ id: 'a'.repeat(32), name: 'job', vertices, fault: undefined }, context);
  });

interface Moment {
  readonly job: FlinkJob;
  readonly offers: readonly SlotOffer[];
  readonly now: number;
}

/** Lives a job through some acts and calls `look` after each change. */
function live(begun: JobSettings, all: readonly Act[], look: (moment: Moment) => void, stepSeconds?: number): FlinkJob {
  let [now, triggers] = [start, 0];
  let offers = offersOf([2, 2]);
  let job = submit(begun, now);
  const keep = (next: FlinkJob) => {
    job = advance(next, offers, now);
    look({ job, offers, now });
  };
  const passUntil = (end: number) => {
    while (now < end) {
      const step = stepSeconds === undefined ? end : now + stepSeconds * 1000;
      now = Math.min(end, step, nextChangeTime(job, now));
      keep(job);
    }
  };
  const triggerAs = (kind: 'savepoint' | 'cancel' | 'stop') => {
    triggers += 1;
    if (!isEnded(job)) keep(triggerSavepoint(job, { triggerId: String(triggers), kind, directory: 's3://state' }, now));
  };
  for (const act of all) {
    if (act.kind === 'wait') passUntil(now + act.seconds * 1000);
    if (act.kind === 'slots') offers = offersOf(act.slots);
    if (act.kind === 'slots') keep(job);
    if (act.kind === 'savepoint' || act.kind === 'stop') triggerAs(act.kind);
    if (act.kind === 'cancel with savepoint') triggerAs('cancel');
    if (act.kind === 'cancel') keep(cancel(job, now));
    if (act.kind.startsWith('fail') && !isEnded(job))
      keep(fail(job, failureOf(job, 'x'), now, act.kind === 'fail for good'));
  }
  passUntil(now + 30_000);
  return job;
}

function offersOf(slots: readonly number[]): readonly SlotOffer[] {
  return slots.map((count, index) => ({ taskManager: `tm${index}`, slots: count }));
}

describe('a simulated job', () => {
  const lives = fc.tuple(settings, fc.array(acts, { maxLength: 25 }));

  it('uses no slot that is not offered, and none when it has ended', () => {
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        live(begun, all, ({ job, offers }) => {
          for (const { taskManager, slots } of job.placement)
            expect(slots).toBeLessThanOrEqual(offers.find((offer) => offer.taskManager === taskManager)?.slots ?? 0);
          if (isEnded(job)) expect(slotsOf(job)).toBe(0);
        });
      }),
    );
  });

  it('counts while every task runs, and then only', () => {
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        live(begun, all, ({ job, now }) => {
          expect(isCounting(job)).toBe(job.spans.at(-1) !== undefined && job.spans.at(-1)?.to === undefined);
          const seconds = job.spans.reduce((sum, { from, to = now }) => sum + (to - from) / 1000, 0);
          expect(countAt(job, now)).toBeLessThanOrEqual(recordsPerSecond * seconds);
          expect(countAt(job, now)).toBeGreaterThanOrEqual(0);
        });
      }),
    );
  });

  it('loses no record to a failure that comes after a checkpoint, but those since', () => {
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        live(begun, all, ({ job, now }) => {
          const { latestCompleted } = job.checkpoints;
          if (latestCompleted && isCounting(job))
            expect(countAt(job, now)).toBeGreaterThanOrEqual(latestCompleted.count);
        });
      }),
    );
  });

  it('has one checkpoint in storage at most, and every savepoint that completed', () => {
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        live(begun, all, ({ job }) => {
          const kept = snapshotsOf(job);
          const completed = job.savepoints.filter(({ location }) => location !== undefined);
          expect(kept.filter(({ isSavepoint }) => !isSavepoint).length).toBeLessThanOrEqual(1);
          expect(kept.filter(({ isSavepoint }) => isSavepoint)).toHaveLength(completed.length);
        });
      }),
    );
  });

  it('stays as it ended', () => {
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        let end: string | undefined;
        live(begun, all, ({ job }) => {
          if (end !== undefined) expect(statusOf(job)).toBe(end);
          if (isEnded(job)) end = statusOf(job);
        });
      }),
    );
  });

  it('always has a next change that is yet to come', () => {
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        live(begun, all, ({ job, now }) => expect(nextChangeTime(job, now)).toBeGreaterThan(now));
      }),
    );
  });

  it('comes to the same however often it is looked at', () => {
    const ignore = () => {};
    fc.assert(
      fc.property(lives, ([begun, all]) => {
        expect(live(begun, all, ignore, 1)).toEqual(live(begun, all, ignore));
      }),
    );
  });
});
