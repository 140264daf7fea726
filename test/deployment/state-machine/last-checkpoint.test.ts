// Right after a job's end its JobManager does not say yet which checkpoint was the last. The one that was recorded while the job ran may be
// deleted by then: a job that is restored from it fails.
import { describe, expect, it } from 'vitest';
import type { JobView } from '../../../shared/deployment/types.ts';
import {
  aJob,
  aJobManager,
  atRest,
  CHECKPOINT,
  completed,
  effectsOf,
  midway,
  NOW,
  OLD_JOB,
  oldJob,
  ROLLBACK_JOB,
  SAVEPOINT,
  secondsAgo,
} from '../scenes.ts';

const RECORDED = 's3://checkpoints/chk-6';
const status = { jobStatus: { jobID: OLD_JOB, lastCheckpoint: RECORDED, lastCheckpointTime: secondsAgo(20) } };
const settled = { latestCompleted: completed(CHECKPOINT, 10) };

const cluster = (view: JobView) => ({ old: { jobManager: aJobManager({ jobs: { [OLD_JOB]: view } }) } });
const unsettled = (state: string) => cluster({ ...aJob({ state }), checkpoints: { unreadable: 'not known yet' } });

describe('a job that has just ended', () => {
  it('is waited for in Recovering until its last checkpoint is known, or a minute after the phase is over', () => {
    const waiting = midway('Recovering', { status, ...unsettled('CANCELED') });
    const known = midway('Recovering', { status, ...cluster(aJob({ state: 'CANCELED', checkpoints: settled })) });
    const over = (seconds: number) =>
      midway('Recovering', { status, ...unsettled('CANCELED'), rollout: { deadline: secondsAgo(seconds) } });
    const late = over(60);

    for (const next of [waiting, over(0), over(59)])
      expect(next).toMatchObject({ status: { phase: 'Recovering' }, effects: [] });
    expect(known.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: CHECKPOINT });
    expect(late.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: RECORDED });
  });

  it('is not started again from an earlier checkpoint', () => {
    const spec = { restartPolicy: 'FromLatestCheckpoint' } as const;

    const waiting = atRest({ spec, status, ...unsettled('FAILED') });
    const known = atRest({ spec, status, ...cluster(aJob({ state: 'FAILED', checkpoints: settled })) });

    expect(waiting.status.phase).toBe('Running');
    expect(known.status).toMatchObject({ phase: 'SubmittingJob', savepointPath: CHECKPOINT });
  });

  it.each`
    restored                                                   | what                             | savepointPath
    ${{ path: SAVEPOINT, isSavepoint: true }}                  | ${'a savepoint'}                 | ${SAVEPOINT}
    ${{ path: 's3://c/other/chk-3', isSavepoint: false }}      | ${'the checkpoint of another'}   | ${'s3://c/other/chk-3'}
    ${{ path: `s3://c/${OLD_JOB}/chk-3`, isSavepoint: false }} | ${'its own, which went with it'} | ${undefined}
  `('without a checkpoint since it was begun from $what begins there', ({ restored, savepointPath }) => {
    const next = atRest({
      spec: { restartPolicy: 'FromLatestCheckpoint' },
      old: oldJob({
        state: 'FAILED',
        checkpoints: { latestRestored: { ...restored, time: NOW - 60_000 } },
        config: { isRetainedOnCancellation: false, isRetainedOnFailure: false },
      }),
    });

    expect(next.status.savepointPath).toBe(savepointPath);
  });

  it('is not rolled back to an earlier checkpoint', () => {
    const rollout = { rollbackJobId: ROLLBACK_JOB };
    const withRollback = (view: JobView) => ({
      old: { jobManager: aJobManager({ jobs: { [OLD_JOB]: view, [ROLLBACK_JOB]: aJob({ state: 'LOST' }) } }) },
    });
    const ended = aJob({ state: 'CANCELED', checkpoints: settled });

    const waiting = midway('RollingBackJob', {
      ...{ status, rollout },
      ...withRollback({ ...ended, checkpoints: { unreadable: 'not known yet' } }),
    });
    const known = midway('RollingBackJob', { status, rollout, ...withRollback(ended) });

    expect(waiting).toMatchObject({ status: { phase: 'RollingBackJob' }, effects: [] });
    expect(effectsOf(known, 'SubmitJob')).toMatchObject([{ submission: { savepointPath: CHECKPOINT } }]);
  });
});
