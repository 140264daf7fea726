import { describe, expect, it } from 'vitest';
import type { ApplicationStatus } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aRollout,
  aSilentJobManager,
  atRest,
  CHECKPOINT,
  effectsOf,
  firstDeploy,
  inSeconds,
  kindsOf,
  midway,
  NEW,
  NEW_JOB,
  NOW,
  OLD,
  OLD_JOB,
  oldJob,
  reasonsOf,
  SAVEPOINT,
  type SceneParts,
  secondsAgo,
  TRIGGER,
  without,
} from '../scenes.ts';

const DELETION = { deadline: inSeconds(900), attempts: 0 };
const RELEASE = { kind: 'RemoveFinalizer' };

/** The application is being deleted, since a moment ago. */
function deleting({ application, status, ...parts }: SceneParts = {}) {
  return atRest({
    application: { isDeleting: true, ...application },
    status: { phase: 'Deleting', deletion: DELETION, ...status },
    ...parts,
  });
}

/** As deleting, with the id of the savepoint that this job's deletion begins with. */
function saving(parts: SceneParts = {}) {
  const { savepointTriggerId } = deleting().status;
  return deleting({ ...parts, status: { savepointTriggerId: savepointTriggerId ?? '', ...parts.status } });
}

describe('the beginning of a deletion', () => {
  it('is Deleting, from whatever phase, and has an end', () => {
    const next = atRest({ application: { isDeleting: true }, spec: { timeouts: { savepointSeconds: 100 } } });

    expect(next.status).toMatchObject({ phase: 'Deleting', deletion: { deadline: inSeconds(300), attempts: 0 } });
    expect(next.effects).toEqual([]);
    expect(next.isInTransition).toBe(true);
  });

  it('forgets the errors of what went on before', () => {
    const lastSeenError = { appError: 'x', isRetryable: true, maxRetries: 3, lastErrorUpdateTime: secondsAgo(0) };

    const next = atRest({ application: { isDeleting: true }, status: { lastSeenError, retryCount: 20 } });

    expect(next.status).not.toHaveProperty('lastSeenError');
    expect(next.status).not.toHaveProperty('retryCount');
  });

  it.each(['ClusterStarting', 'SubmittingJob'])('forgets a savepoint id that is left in %s', (phase) => {
    const next = midway(phase, { application: { isDeleting: true }, status: { savepointTriggerId: TRIGGER } });

    expect(next.status).not.toHaveProperty('savepointTriggerId');
  });

  // A second one would make the first fail, and the first ends the job, however late it comes.
  it.each(['Savepointing', 'Recovering', 'RollingBackJob'])('keeps the savepoint that ends the job in %s', (phase) => {
    const next = midway(phase, { application: { isDeleting: true }, status: { savepointTriggerId: TRIGGER } });

    expect(next.status).toMatchObject({ phase: 'Deleting', savepointTriggerId: TRIGGER });
  });

  it('gives a deletion that Lyft’s operator has begun its time too, and its savepoint', () => {
    const next = atRest({
      application: { isDeleting: true },
      status: { phase: 'Deleting', savepointTriggerId: TRIGGER },
    });

    expect(next.status).toMatchObject({ savepointTriggerId: TRIGGER, deletion: { deadline: inSeconds(900) } });
    expect(next.effects).toEqual([]);
  });
});

describe('a savepoint that cannot be asked for', () => {
  const refused = {
    appError: '503 no endpoints',
    isRetryable: true,
    maxRetries: 5,
    lastErrorUpdateTime: secondsAgo(60),
  };

  it('is asked for again for as long as there is time, however often that failed', () => {
    const next = saving({ status: { lastSeenError: refused, retryCount: 6 } });

    expect(kindsOf(next)).toEqual(['StopJob']);
  });

  it('is given up when the time is over, with the cause', () => {
    const deletion = { deadline: secondsAgo(0), attempts: 0 };

    const next = saving({ status: { lastSeenError: refused, retryCount: 20, deletion } });

    expect(next.effects).toEqual([RELEASE]);
    expect(next.events[0]?.message).toContain('503 no endpoints');
  });
});

describe('deleteMode Savepoint', () => {
  it('writes an id down, then stops the job with it', () => {
    const announced = deleting();
    const triggered = saving();

    expect(announced.status.savepointTriggerId).toMatch(/^[0-9a-f]{32}$/);
    expect(announced.effects).toEqual([]);
    expect(reasonsOf(announced)).toEqual(['CancellingJob']);
    expect(triggered.effects).toEqual([
      {
        kind: 'StopJob',
        hash: OLD,
        jobId: OLD_JOB,
        triggerId: announced.status.savepointTriggerId,
        drain: false,
      },
    ]);
  });

  it('waits for it, tells its path once, and waits for the end of the job', () => {
    const waiting = saving({ old: oldJob({ savepoint: { state: 'InProgress' } }) });
    const done = { old: oldJob({ savepoint: { state: 'Completed', location: SAVEPOINT } }) };
    const complete = saving(done);
    const again = saving({ ...done, status: { savepointPath: SAVEPOINT } });

    expect(waiting.effects).toEqual([]);
    expect(complete.status.savepointPath).toBe(SAVEPOINT);
    expect(complete.events).toMatchObject([{ reason: 'CanceledJob', message: expect.stringContaining(SAVEPOINT) }]);
    expect(again).toMatchObject({ effects: [], events: [] });
  });

  it('lets the application go when the job has ended', () => {
    expect(saving({ old: oldJob({ state: 'CANCELED' }) }).effects).toEqual([RELEASE]);
  });

  it('tries a failed savepoint again under another id', () => {
    const failed = saving({ old: oldJob({ savepoint: { state: 'Failed', cause: 'full' } }) });
    const waiting = deleting({ status: failed.status, old: oldJob({}) });
    const retried = deleting({ status: failed.status, now: NOW + 7_000 });

    expect(failed.status.deletion?.attempts).toBe(1);
    expect(reasonsOf(failed)).toEqual(['SavepointFailed']);
    expect(waiting.status.savepointTriggerId).toBe(failed.status.savepointTriggerId);
    expect(retried.status.savepointTriggerId).not.toBe(failed.status.savepointTriggerId);
  });

  it('waits for a savepoint that a deploy had begun, and tells its path', () => {
    const underway = (savepoint: object) =>
      deleting({ status: { savepointTriggerId: TRIGGER }, old: oldJob({ savepoint: savepoint as never }) });

    const waiting = underway({ state: 'InProgress' });
    const complete = underway({ state: 'Completed', location: SAVEPOINT });

    expect(waiting.status.savepointTriggerId).toBe(TRIGGER);
    expect(waiting.effects).toEqual([]);
    expect(complete.status).toMatchObject({ savepointTriggerId: TRIGGER, savepointPath: SAVEPOINT });
  });

  it('takes a savepoint of its own in BlueGreen, where the one of a deploy cancels nothing', () => {
    const next = deleting({
      spec: { deploymentMode: 'BlueGreen' },
      status: { deploymentMode: 'BlueGreen', savepointTriggerId: TRIGGER, savepointPath: SAVEPOINT },
      old: oldJob({ savepoint: { state: 'Completed', location: SAVEPOINT } }),
    });

    expect(next.status.savepointTriggerId).not.toBe(TRIGGER);
  });
});

describe('the path of the last savepoint', () => {
  it('is told though the job has ended with it before anybody looked', () => {
    const next = saving({ old: oldJob({ state: 'CANCELED', savepoint: { state: 'Completed', location: SAVEPOINT } }) });

    expect(reasonsOf(next)).toEqual(['CanceledJob']);
    expect(next.effects).toEqual([]);
  });
});

describe('deleteMode ForceCancel', () => {
  it.each`
    state           | kinds
    ${'RUNNING'}    | ${['CancelJob']}
    ${'RESTARTING'} | ${['CancelJob']}
    ${'CANCELLING'} | ${[]}
    ${'CANCELED'}   | ${['RemoveFinalizer']}
    ${'FAILED'}     | ${['RemoveFinalizer']}
    ${'FINISHED'}   | ${['RemoveFinalizer']}
  `('comes to $kinds while the job is $state', ({ state, kinds }) => {
    expect(kindsOf(deleting({ spec: { deleteMode: 'ForceCancel' }, old: oldJob({ state }) }))).toEqual(kinds);
  });
});

describe('deleteMode None', () => {
  it('lets the application go at once, also in the middle of a savepoint', () => {
    expect(deleting({ spec: { deleteMode: 'None' } }).effects).toEqual([RELEASE]);
    expect(
      saving({ spec: { deleteMode: 'None' }, old: oldJob({ savepoint: { state: 'InProgress' } }) }).effects,
    ).toEqual([RELEASE]);
  });
});

describe('a deletion', () => {
  it('has nothing to wait for without a job', () => {
    const next = firstDeploy('Deleting', { application: { isDeleting: true }, status: { deletion: DELETION } });

    expect(next.effects).toEqual([RELEASE]);
  });

  it('does nothing more once the finalizer is gone', () => {
    expect(deleting({ application: { finalizers: [] } }).effects).toEqual([]);
  });

  it('goes on though the spec cannot be read', () => {
    expect(deleting({ application: { unreadable: 'spec: no' }, old: oldJob({ state: 'FINISHED' }) }).effects).toEqual([
      RELEASE,
    ]);
  });

  it('ends the new job of a deploy after the old one', () => {
    const status: Partial<ApplicationStatus> = {
      deletion: DELETION,
      rollout: aRollout({ jobId: NEW_JOB, isSubmitted: true }),
    };
    const next = midway('Deleting', {
      application: { isDeleting: true },
      spec: { deleteMode: 'ForceCancel' },
      status,
      old: oldJob({ state: 'CANCELED' }),
      next: { jobManager: aJobManager({ jobs: { [NEW_JOB]: aJob() } }) },
    });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: NEW, jobId: NEW_JOB }]);
  });
});

describe('F11: a deletion waits for ever', () => {
  it.each`
    situation                            | parts
    ${'its job has finished'}            | ${{ old: oldJob({ state: 'FINISHED' }) }}
    ${'its job has failed'}              | ${{ old: oldJob({ state: 'FAILED' }) }}
    ${'its JobManager has lost the job'} | ${{ old: oldJob({ state: 'LOST' }) }}
    ${'its cluster is gone'}             | ${{ old: { cluster: undefined, jobManager: undefined } }}
  `('lets the application go when $situation', ({ parts }) => {
    expect(deleting(parts).effects).toEqual([RELEASE]);
  });

  it.each(['FINISHED', 'STOPPED', 'CANCELED', 'FAILED'])(
    'lets the application go when its job was seen %s, and its JobManager does not respond any more',
    (state) => {
      const silent = { status: { jobStatus: { jobID: OLD_JOB, state } }, old: { jobManager: aSilentJobManager() } };

      expect(deleting(silent)).toMatchObject({ effects: [RELEASE], events: [] });
    },
  );

  it('waits for a JobManager that may know of a savepoint, though the job was seen to have ended', () => {
    const jobStatus = { jobID: OLD_JOB, state: 'FINISHED' };

    const next = deleting({
      status: { jobStatus, savepointTriggerId: TRIGGER },
      old: { jobManager: aSilentJobManager() },
    });

    expect(next.effects).toEqual([]);
  });

  it('gives up after three savepoints, and says what was lost', () => {
    const next = deleting({
      status: {
        deletion: { ...DELETION, attempts: 2 },
        savepointTriggerId:
          deleting({ status: { deletion: { ...DELETION, attempts: 2 } } }).status.savepointTriggerId ?? '',
        jobStatus: { jobID: OLD_JOB, lastCheckpoint: CHECKPOINT },
      },
      old: oldJob({ savepoint: { state: 'Failed', cause: 'full' } }),
    });

    expect(next.effects).toEqual([RELEASE]);
    expect(next.events).toMatchObject([
      { reason: 'DeletedWithoutSavepoint', message: expect.stringMatching(/full.*chk-7/) },
    ]);
  });

  it('gives up after its deadline, however silent the JobManager is', () => {
    const silent = { old: { jobManager: aSilentJobManager() } };

    expect(deleting(silent).effects).toEqual([]);
    expect(deleting({ ...silent, status: { deletion: { deadline: secondsAgo(0), attempts: 0 } } }).effects).toEqual([
      RELEASE,
    ]);
  });
});

describe('F21: a deletion in BlueGreen cancels by the wrong id', () => {
  const dual = (old: object, next: object, deleteMode: 'Savepoint' | 'ForceCancel' = 'Savepoint') =>
    midway('Deleting', {
      application: { isDeleting: true },
      spec: { deploymentMode: 'BlueGreen', deleteMode },
      status: {
        deploymentMode: 'BlueGreen',
        deletion: DELETION,
        updatingHash: NEW,
        rollout: aRollout({ jobId: NEW_JOB, isSubmitted: true }),
      },
      old: { cluster: aCluster(OLD, { colour: 'green' }), ...oldJob(old) },
      next: {
        cluster: aCluster(NEW, { colour: 'blue' }),
        jobManager: aJobManager({ jobs: { [NEW_JOB]: aJob(next) } }),
      },
    });

  it('cancels each job on its own cluster, one after the other', () => {
    expect(effectsOf(dual({}, {}, 'ForceCancel'), 'CancelJob')).toEqual([
      { kind: 'CancelJob', hash: OLD, jobId: OLD_JOB },
    ]);
    expect(effectsOf(dual({ state: 'CANCELED' }, {}, 'ForceCancel'), 'CancelJob')).toEqual([
      { kind: 'CancelJob', hash: NEW, jobId: NEW_JOB },
    ]);
  });

  it('takes two savepoints, each with an id of its own', () => {
    const first = dual({}, {}).status.savepointTriggerId;
    const second = dual({ state: 'CANCELED' }, {}).status.savepointTriggerId;

    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(second).toMatch(/^[0-9a-f]{32}$/);
    expect(second).not.toBe(first);
  });
});

describe('a status without what it should have', () => {
  it('still ends', () => {
    const next = deleting({ status: without(['jobStatus', 'deployHash', 'currentRevision'], { deletion: DELETION }) });

    expect(next.effects).toEqual([RELEASE]);
  });
});
