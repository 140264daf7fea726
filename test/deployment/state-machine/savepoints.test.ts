import { describe, expect, it } from 'vitest';
import { failSavepoint, noteTriggerId } from '../../../shared/deployment/savepoints.ts';
import type { JobView, SavepointRecord } from '../../../shared/deployment/types.ts';
import type { SceneParts } from '../scenes.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  atRest,
  CHECKPOINT,
  completed,
  effectsOf,
  inSeconds,
  kindsOf,
  midway,
  NEW_REVISION,
  NOW,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  secondsAgo,
  TRIGGER,
} from '../scenes.ts';

const HOURLY = { periodicSavepoints: { intervalSeconds: 3600 } };

function aRecord(path: string, ageSeconds: number, changes: Partial<SavepointRecord> = {}): SavepointRecord {
  return { path, time: secondsAgo(ageSeconds), reason: 'Deploy', jobId: 'e'.repeat(32), ...changes };
}

/** s3://1 to s3://n, an hour from one to the next, the newest an hour ago. */
const records = (count: number) =>
  Array.from({ length: count }, (_, index) => aRecord(`s3://${index + 1}`, (count - index) * 3600));

/** The old job, with what its JobManager says of the periodic savepoint. */
function whilePeriodic(savepoint: NonNullable<JobView['periodicSavepoint']>, parts: Parameters<typeof aJob>[0] = {}) {
  const view = { ...aJob(parts), periodicSavepoint: savepoint };
  return { jobManager: aJobManager({ jobs: { [OLD_JOB]: view } }) };
}

const underway = { triggerId: TRIGGER, jobId: OLD_JOB, startTime: secondsAgo(20) };

describe('a savepoint that is complete', () => {
  it.each(['Savepointing', 'Recovering', 'RollingBackJob'])(
    'is recorded in %s, with what it was taken for',
    (phase) => {
      const savepoint = { state: 'Completed' as const, location: SAVEPOINT };

      const next = midway(phase, { status: { savepointTriggerId: TRIGGER }, old: oldJob({ savepoint }) });

      expect(next.status.savepoints).toEqual([
        { path: SAVEPOINT, time: inSeconds(0), reason: 'Deploy', jobId: OLD_JOB },
      ]);
    },
  );

  it('is recorded once, with the time at which its state was saved', () => {
    const savepoint = { state: 'Completed' as const, location: SAVEPOINT };
    const parts: SceneParts = {
      status: { savepointTriggerId: TRIGGER },
      rollout: { kind: 'Suspend', hash: OLD, revision: OLD_REVISION.name },
      spec: { suspend: true, image: 'orders:1' },
      old: oldJob({ savepoint, checkpoints: { latestSavepoint: completed(SAVEPOINT, 3) } }),
    };

    const first = midway('Savepointing', parts);
    const again = midway('Savepointing', { ...parts, status: { ...first.status } });

    expect(first.status.savepoints).toMatchObject([{ time: secondsAgo(3), reason: 'Suspend' }]);
    expect(again.status.savepoints).toEqual(first.status.savepoints);
  });

  it('is noted as the beginning of the job that is deployed', () => {
    const jobStatus = { jobID: OLD_JOB, state: 'RUNNING', restorePath: SAVEPOINT };

    const next = atRest({ status: { jobStatus, savepoints: [aRecord(SAVEPOINT, 60)] } });
    const claimed = atRest({
      spec: { flinkConfig: { 'execution.savepoint-restore-mode': 'claim' } },
      status: { jobStatus, savepoints: [aRecord(SAVEPOINT, 60)], currentRevision: CLAIMING },
    });

    expect(next.status.savepoints).toMatchObject([{ restoredJobId: OLD_JOB }]);
    expect(claimed.status.savepoints).toMatchObject([{ restoredJobId: OLD_JOB, isClaimed: true }]);
  });

  const CLAIMING = 'orders-claiming';

  it('is remembered among the ten newest where none is disposed of', () => {
    const next = atRest({ status: { savepoints: records(12) } });

    expect(next.status.savepoints).toEqual(records(12).slice(2));
    expect(reasonsOf(next)).toEqual([]);
  });

  it('is counted up to a hundred where some are, and the one that is not any more is told', () => {
    const next = atRest({ spec: { savepointHistory: { maxCount: 50 } }, status: { savepoints: records(101) } });

    expect(next.status.savepoints).toHaveLength(100);
    expect(next.events).toMatchObject([{ reason: 'SavepointForgotten', message: expect.stringContaining('s3://1 ') }]);
  });

  it('leaves a status alone that has none', () => {
    expect(atRest().status).not.toHaveProperty('savepoints');
  });
});

describe('periodic savepoints', () => {
  it('are not taken without the field', () => {
    const next = atRest({ old: oldJob({ startTime: NOW - 10 * 24 * 3600_000 }) });

    expect(next).toMatchObject({ status: { phase: 'Running' }, effects: [] });
    expect(next.status).not.toHaveProperty('periodicSavepoint');
  });

  it('write the id down before it is used, and do not end the job', () => {
    const noted = atRest({ spec: HOURLY });
    const { periodicSavepoint } = noted.status;
    const triggered = atRest({
      spec: HOURLY,
      status: { periodicSavepoint: underway },
      old: whilePeriodic({ value: { state: 'Unknown' } }),
    });

    expect(noted.effects).toEqual([]);
    expect(periodicSavepoint).toEqual({
      triggerId: expect.stringMatching(/^[0-9a-f]{32}$/),
      jobId: OLD_JOB,
      startTime: inSeconds(0),
    });
    expect(effectsOf(triggered, 'TriggerSavepoint')).toEqual([
      { kind: 'TriggerSavepoint', hash: OLD, jobId: OLD_JOB, triggerId: TRIGGER, cancelJob: false },
    ]);
  });

  it.each`
    what                              | savepoints                    | latestSavepoint                  | isDue
    ${'the job began an hour ago'}    | ${undefined}                  | ${undefined}                     | ${true}
    ${'one was recorded an hour ago'} | ${[aRecord(SAVEPOINT, 3600)]} | ${undefined}                     | ${true}
    ${'one was recorded since'}       | ${[aRecord(SAVEPOINT, 3599)]} | ${undefined}                     | ${false}
    ${'somebody else has taken one'}  | ${[aRecord(SAVEPOINT, 9000)]} | ${completed('s3://by-hand', 60)} | ${false}
  `('are due when $what: $isDue', ({ savepoints, latestSavepoint, isDue }) => {
    const next = atRest({
      spec: HOURLY,
      status: { ...(savepoints && { savepoints }) },
      old: oldJob({ checkpoints: { ...(latestSavepoint && { latestSavepoint }) } }),
    });

    expect(next.status.periodicSavepoint !== undefined).toBe(isDue);
  });

  it.each(['RESTARTING', 'CREATED', 'FAILED', 'SILENT'])('are not begun while the job is %s', (state) => {
    expect(atRest({ spec: HOURLY, old: oldJob({ state }) }).status).not.toHaveProperty('periodicSavepoint');
  });

  it('are not taken of a job in BATCH mode', () => {
    expect(atRest({ spec: HOURLY, old: oldJob({ isBatch: true }) }).status).not.toHaveProperty('periodicSavepoint');
  });

  it('are not begun while a deploy is in progress, nor when one begins', () => {
    const deploying = midway('ClusterStarting', { spec: HOURLY });
    const beginning = atRest({ spec: { ...HOURLY, image: 'orders:2' } });

    expect(deploying.status).not.toHaveProperty('periodicSavepoint');
    expect(beginning.status).toMatchObject({ phase: 'Updating' });
    expect(beginning.status).not.toHaveProperty('periodicSavepoint');
  });

  it('wait for one that is under way', () => {
    const next = atRest({
      spec: HOURLY,
      status: { periodicSavepoint: underway },
      old: whilePeriodic({ value: { state: 'InProgress' } }),
    });

    expect(next).toMatchObject({ status: { periodicSavepoint: underway }, effects: [] });
  });

  it.each(['Running', 'ClusterStarting'])('are recorded when they are complete, in %s', (phase) => {
    const parts = {
      spec: phase === 'Running' ? HOURLY : {},
      status: { periodicSavepoint: underway },
      old: whilePeriodic({ value: { state: 'Completed', location: SAVEPOINT } }),
    };

    const next = phase === 'Running' ? atRest(parts) : midway(phase, parts);

    expect(next.status.savepoints).toEqual([
      { path: SAVEPOINT, time: underway.startTime, reason: 'Periodic', jobId: OLD_JOB },
    ]);
    expect(next.status).not.toHaveProperty('periodicSavepoint');
    expect(reasonsOf(next)).toContain('SavepointCompleted');
  });

  it('tell once of a row that fail, and wait longer each time', () => {
    const old = whilePeriodic({ value: { state: 'Failed', cause: 'no space left' } });

    const first = atRest({ spec: HOURLY, status: { periodicSavepoint: underway }, old });
    const second = atRest({ spec: HOURLY, status: { periodicSavepoint: { ...underway, failures: 1 } }, old });

    expect(first.status.periodicSavepoint).toEqual({
      failures: 1,
      message: 'no space left',
      retryTime: inSeconds(300),
    });
    expect(reasonsOf(first)).toEqual(['PeriodicSavepointFailed']);
    expect(second.status.periodicSavepoint).toMatchObject({ failures: 2, retryTime: inSeconds(600) });
    expect(reasonsOf(second)).toEqual([]);
  });

  it.each([
    [inSeconds(1), false],
    [secondsAgo(1), true],
  ])('are tried again at %s: %s', (retryTime, isTried) => {
    const periodicSavepoint = { failures: 1, message: 'no space left', retryTime };

    const next = atRest({ spec: HOURLY, status: { periodicSavepoint } });

    expect(next.status.periodicSavepoint?.triggerId !== undefined).toBe(isTried);
    expect(next.status.periodicSavepoint).toMatchObject({ failures: 1 });
  });

  it('are forgotten when nobody wants them any more, but one that was triggered is waited for', () => {
    const untriggered = whilePeriodic({ value: { state: 'Unknown' } });
    const triggered = whilePeriodic({ value: { state: 'InProgress' } });

    expect(atRest({ status: { periodicSavepoint: underway }, old: untriggered }).status).not.toHaveProperty(
      'periodicSavepoint',
    );
    expect(atRest({ status: { periodicSavepoint: underway }, old: triggered }).status).toMatchObject({
      periodicSavepoint: underway,
    });
  });

  it('of a job that is not deployed any more are forgotten', () => {
    const periodicSavepoint = { ...underway, jobId: 'e'.repeat(32) };

    expect(atRest({ status: { periodicSavepoint } }).status).not.toHaveProperty('periodicSavepoint');
  });
});

describe('where a job begins again', () => {
  it('is a periodic savepoint of a job that was lost, if that is newer than its checkpoint', () => {
    const savepoints = [aRecord(SAVEPOINT, 30, { reason: 'Periodic', jobId: OLD_JOB })];
    const jobStatus = { jobID: OLD_JOB, state: 'LOST', lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(60) };
    const parts: SceneParts = {
      spec: { restartPolicy: 'FromLatestCheckpoint' },
      status: { jobStatus, savepoints },
      old: oldJob({ state: 'LOST' }),
    };

    expect(atRest(parts).status).toMatchObject({ phase: 'SubmittingJob', savepointPath: SAVEPOINT });
  });

  it('is not one of another job', () => {
    const jobStatus = { jobID: OLD_JOB, state: 'LOST', lastCheckpoint: CHECKPOINT, lastCheckpointTime: secondsAgo(60) };
    const next = atRest({
      spec: { restartPolicy: 'FromLatestCheckpoint' },
      status: { jobStatus, savepoints: [aRecord(SAVEPOINT, 30)] },
      old: oldJob({ state: 'LOST' }),
    });

    expect(next.status.savepointPath).toBe(CHECKPOINT);
  });

  it('is none for which a job that runs would have to go back', () => {
    const next = midway('Recovering', {
      old: oldJob({
        config: { isRetainedOnCancellation: false },
        checkpoints: {
          completed: 9,
          latestCompleted: completed(CHECKPOINT, 90),
          latestSavepoint: completed(SAVEPOINT, 5),
        },
      }),
    });

    expect(next.status.phase).toBe('RollingBackJob');
    expect(effectsOf(next, 'CancelJob')).toEqual([]);
  });
});

describe('savepointHistory', () => {
  const KEEPS_TWO = { savepointHistory: { maxCount: 2 } };

  it('writes down what is disposed of before it orders that, the oldest first', () => {
    const noted = atRest({ spec: KEEPS_TWO, status: { savepoints: records(4) } });
    const ordered = atRest({ spec: KEEPS_TWO, status: { ...noted.status } });

    expect(noted.effects).toEqual([]);
    expect(noted.status.savepointDisposal).toEqual({ path: 's3://1' });
    expect(ordered.effects).toEqual([{ kind: 'DisposeSavepoint', hash: OLD, path: 's3://1' }]);
  });

  /** What becomes of the disposal of s3://1. */
  function disposing(state: 'InProgress' | 'Completed' | 'Unknown' | 'Failed', cause = '') {
    const jobManager = aJobManager({ jobs: { [OLD_JOB]: aJob() } });
    const disposal = state === 'Failed' ? { state, cause } : { state };
    return atRest({
      spec: KEEPS_TWO,
      status: { savepoints: records(4), savepointDisposal: { path: 's3://1', triggerId: TRIGGER } },
      old: { jobManager: { ...jobManager, disposal: { value: disposal } } },
    });
  }

  it('forgets one that was disposed of, or that somebody else has deleted', () => {
    const done = disposing('Completed');
    const gone = disposing(
      'Failed',
      "java.io.FileNotFoundException: Cannot find checkpoint or savepoint file 's3://1'",
    );

    for (const next of [done, gone]) {
      expect(next.status.savepoints).toEqual(records(4).slice(1));
      expect(next.status).not.toHaveProperty('savepointDisposal');
      expect(reasonsOf(next)).toEqual(['SavepointDisposed']);
    }
  });

  it('waits for one that is under way, and orders one again that was forgotten', () => {
    const waiting = disposing('InProgress');
    const forgotten = disposing('Unknown');

    expect(waiting).toMatchObject({ effects: [], events: [] });
    expect(forgotten.status.savepointDisposal).toEqual({ path: 's3://1' });
  });

  it('tells once that it cannot be disposed of, and tries again later', () => {
    const next = disposing('Failed', 'access denied');
    const again = atRest({ spec: KEEPS_TWO, status: { ...next.status } });

    expect(next.status.savepointDisposal).toEqual({
      path: 's3://1',
      failures: 1,
      message: 'access denied',
      retryTime: inSeconds(300),
    });
    expect(reasonsOf(next)).toEqual(['SavepointDisposalFailed']);
    expect(again).toMatchObject({ effects: [], events: [] });
  });

  it('by age takes those that are too old', () => {
    const next = atRest({
      spec: { savepointHistory: { maxAgeSeconds: 3 * 3600 } },
      status: { savepoints: records(4) },
    });
    const young = atRest({
      spec: { savepointHistory: { maxAgeSeconds: 4 * 3600 } },
      status: { savepoints: records(4) },
    });

    expect(next.status.savepointDisposal).toEqual({ path: 's3://1' });
    expect(young.status).not.toHaveProperty('savepointDisposal');
  });

  const jobStatus = { jobID: OLD_JOB, state: 'RUNNING' };
  const PREVIOUS = { revision: NEW_REVISION.name, savepointPath: 's3://1' };

  it('disposes of what a version could have been rolled back to when its window is over', () => {
    const next = atRest({
      spec: { ...KEEPS_TWO, rollbackWindowSeconds: 600 },
      status: { savepoints: records(3), previousDeploy: { ...PREVIOUS, time: secondsAgo(600) } },
    });

    expect(next.status.savepointDisposal).toEqual({ path: 's3://1' });
  });

  it.each`
    what                                                                                      | parts
    ${'the newest, however old'}                                                              | ${{ spec: { savepointHistory: { maxAgeSeconds: 1 } }, status: { savepoints: records(1) } }}
    ${'where the job was restored from'}                                                      | ${{ status: { jobStatus: { ...jobStatus, restorePath: 's3://1' } } }}
    ${'where it was begun from, before its tasks failed and were restored from a checkpoint'} | ${{ status: { jobStatus: { ...jobStatus, restorePath: CHECKPOINT }, savepoints: [{ ...aRecord('s3://1', 9000), restoredJobId: OLD_JOB }, ...records(3).slice(1)] } }}
    ${'what Flink owns'}                                                                      | ${{ status: { jobStatus: { ...jobStatus, restorePath: 's3://1' }, savepoints: [{ ...aRecord('s3://1', 9000), restoredJobId: OLD_JOB, isClaimed: true }, ...records(3).slice(1)] } }}
    ${'what is on record as the last checkpoint'}                                             | ${{ status: { jobStatus: { ...jobStatus, lastCheckpoint: 's3://1' } } }}
    ${'where what was deployed before begins, within its window'}                             | ${{ spec: { ...KEEPS_TWO, rollbackWindowSeconds: 600 }, status: { previousDeploy: { ...PREVIOUS, time: secondsAgo(599) } } }}
    ${'where the user wants the application to begin'}                                        | ${{ spec: { ...KEEPS_TWO, savepointPath: 's3://1' } }}
    ${'any of them while the job does not run'}                                               | ${{ old: oldJob({ state: 'FAILED' }) }}
    ${'any of them while its JobManager is silent'}                                           | ${{ old: oldJob({ state: 'SILENT' }) }}
  `('never disposes of $what', ({ parts }) => {
    const status = { savepoints: records(3), ...parts.status };

    const next = atRest({ spec: KEEPS_TWO, ...parts, status });

    expect(next.status).not.toHaveProperty('savepointDisposal');
    expect(effectsOf(next, 'DisposeSavepoint')).toEqual([]);
  });

  it('disposes of nothing while a deploy is in progress, and takes back what has not been ordered', () => {
    const status = { savepoints: records(4), savepointDisposal: { path: 's3://1' } };

    const deploying = midway('Savepointing', { spec: KEEPS_TWO, status });
    const taken = atRest({ status });

    expect(effectsOf(deploying, 'DisposeSavepoint')).toEqual([]);
    expect(taken.effects).toEqual([]);
    expect(taken.status).not.toHaveProperty('savepointDisposal');
  });

  it('comes after what is left of the last deploy is gone', () => {
    const clusters = [aCluster(OLD), aCluster('3d3d3d3d')];

    const next = atRest({ spec: KEEPS_TWO, status: { savepoints: records(4) }, seen: { clusters } });

    expect(kindsOf(next)).toEqual(['DeleteCluster']);
    expect(next.status).not.toHaveProperty('savepointDisposal');
  });
});

describe('an order that was refused', () => {
  const trigger = {
    kind: 'TriggerSavepoint',
    hash: OLD,
    jobId: OLD_JOB,
    triggerId: TRIGGER,
    cancelJob: false,
  } as const;
  const order = { kind: 'DisposeSavepoint', hash: OLD, path: 's3://1' } as const;

  it('to take a periodic savepoint is given again with the same id: it may have been followed', () => {
    const failed = failSavepoint({ periodicSavepoint: underway }, trigger, '503', NOW);

    expect(failed?.status.periodicSavepoint).toEqual({
      ...underway,
      failures: 1,
      message: '503',
      retryTime: inSeconds(300),
    });
    expect(failed?.events).toMatchObject([{ reason: 'PeriodicSavepointFailed' }]);
    const old = whilePeriodic({ value: { state: 'Unknown' } });
    const waiting = atRest({ spec: HOURLY, status: { ...failed?.status }, old });
    const retry = { ...failed?.status.periodicSavepoint, retryTime: secondsAgo(1) };
    const tried = atRest({ spec: HOURLY, status: { periodicSavepoint: retry }, old });
    expect(waiting.effects).toEqual([]);
    expect(effectsOf(tried, 'TriggerSavepoint')).toMatchObject([{ triggerId: TRIGGER }]);
  });

  it('to dispose of a savepoint is given again after a while', () => {
    const failed = failSavepoint({ savepointDisposal: { path: 's3://1' } }, order, '403', NOW);

    expect(failed?.status.savepointDisposal).toMatchObject({ path: 's3://1', failures: 1, retryTime: inSeconds(300) });
  });

  it('about anything else is none of this', () => {
    expect(failSavepoint({}, { kind: 'AddFinalizer' }, '403', NOW)).toBeUndefined();
    expect(failSavepoint({}, trigger, '403', NOW)).toBeUndefined();
  });
});

describe('the id that Flink gives', () => {
  const trigger = { kind: 'TriggerSavepoint', hash: OLD, jobId: OLD_JOB, triggerId: TRIGGER, cancelJob: true } as const;
  const own = 'f'.repeat(32);

  it.each`
    what                                         | status                                       | effect                                                     | noted
    ${'a disposal'}                              | ${{ savepointDisposal: { path: 's3://1' } }} | ${{ kind: 'DisposeSavepoint', hash: OLD, path: 's3://1' }} | ${{ savepointDisposal: { path: 's3://1', triggerId: own } }}
    ${'a savepoint, before Flink 1.15'}          | ${{ savepointTriggerId: TRIGGER }}           | ${trigger}                                                 | ${{ savepointTriggerId: own }}
    ${'a periodic savepoint, before Flink 1.15'} | ${{ periodicSavepoint: underway }}           | ${trigger}                                                 | ${{ periodicSavepoint: { ...underway, triggerId: own } }}
  `('to $what is noted', ({ status, effect, noted }) => {
    expect(noteTriggerId(status, effect, own)).toEqual(noted);
  });

  it('is not noted where it is ours', () => {
    expect(noteTriggerId({ savepointTriggerId: TRIGGER }, trigger, TRIGGER)).toBeUndefined();
  });
});
