import { describe, expect, it } from 'vitest';
import { describeCluster, describeJob, isGone } from '../../../shared/deployment/health.ts';
import { jobStateOf } from '../../../shared/deployment/scene.ts';
import type { Vertex } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aSilentJobManager,
  atRest,
  aVertex,
  CHECKPOINT,
  completed,
  firstDeploy,
  inSeconds,
  midway,
  NEW,
  NOW,
  OLD,
  oldJob,
  SAVEPOINT,
  secondsAgo,
} from '../scenes.ts';

const beating = (secondsAgo: number) => ({ lastHeartbeatTime: NOW - secondsAgo * 1000 });

describe('describeCluster', () => {
  it.each`
    heartbeats         | healthy | health
    ${[5, 120]}        | ${2}    | ${'Green'}
    ${[5, 121]}        | ${1}    | ${'Yellow'}
    ${[86_400, 5]}     | ${1}    | ${'Yellow'}
    ${[5]}             | ${1}    | ${'Yellow'}
    ${[]}              | ${0}    | ${'Yellow'}
    ${[NOW / 1000, 5]} | ${2}    | ${'Green'}
  `('is $health with heartbeats $heartbeats s ago, for 2 TaskManagers', ({ heartbeats, healthy, health }) => {
    const view = aJobManager({ taskManagers: heartbeats.map(beating) });

    expect(describeCluster({}, aCluster(OLD), view, NOW)).toMatchObject({ healthyTaskManagers: healthy, health });
  });

  it('counts slots and pods', () => {
    const view = aJobManager({ slots: 6 });

    expect(describeCluster({}, aCluster(OLD, { taskManagers: 4, pods: 3 }), view, NOW)).toMatchObject({
      numberOfTaskManagers: 3,
      numberOfTaskSlots: 6,
      availableTaskSlots: 0,
    });
  });

  it('keeps what it does not see when the JobManager was not asked', () => {
    const before = { health: 'Green', numberOfTaskSlots: 4, clusterOverviewURL: 'http://orders' } as const;

    expect(describeCluster(before, undefined, undefined, NOW)).toEqual({ ...before, numberOfTaskManagers: 0 });
  });
});

describe('F14: a cluster that does not answer stays Green', () => {
  it('is Red, and keeps its counts', () => {
    const before = { health: 'Green', numberOfTaskSlots: 4 } as const;

    const after = describeCluster(before, aCluster(OLD), aSilentJobManager(), NOW);

    expect(after).toMatchObject({ health: 'Red', numberOfTaskSlots: 4, numberOfTaskManagers: 2 });
  });

  it('is written to the status', () => {
    expect(atRest({ old: { jobManager: aSilentJobManager() } }).status.clusterStatus?.health).toBe('Red');
  });
});

describe('describeJob', () => {
  const healthOf = (parts: Parameters<typeof aJob>[0], before = {}) => describeJob(before, aJob(parts), NOW).health;

  it.each`
    state            | health
    ${'RUNNING'}     | ${'Green'}
    ${'FINISHED'}    | ${'Green'}
    ${'CREATED'}     | ${'Yellow'}
    ${'RECONCILING'} | ${'Yellow'}
    ${'FAILING'}     | ${'Red'}
    ${'CANCELLING'}  | ${'Red'}
    ${'SUSPENDED'}   | ${'Red'}
    ${'LOST'}        | ${'Red'}
  `('is $health when the job is $state', ({ state, health }) => {
    expect(healthOf({ state })).toBe(health);
  });

  it.each`
    status            | health
    ${'RUNNING'}      | ${'Green'}
    ${'FINISHED'}     | ${'Green'}
    ${'DEPLOYING'}    | ${'Yellow'}
    ${'INITIALIZING'} | ${'Yellow'}
    ${'CREATED'}      | ${'Red'}
  `('is $health when one vertex is $status', ({ status, health }) => {
    expect(healthOf({ vertices: [aVertex({ id: 'a' }), aVertex({ id: 'b', status })] })).toBe(health);
  });

  it.each`
    seen                                    | stages                                                              | health
    ${'the first runs'}                     | ${[{}, { status: 'CREATED' }]}                                      | ${'Green'}
    ${'half of the first runs'}             | ${[{ tasks: { RUNNING: 1, SCHEDULED: 3 } }, { status: 'CREATED' }]} | ${'Green'}
    ${'the first has finished'}             | ${[{ status: 'FINISHED' }, { status: 'CREATED' }]}                  | ${'Green'}
    ${'the second runs'}                    | ${[{ status: 'FINISHED' }, {}]}                                     | ${'Green'}
    ${'none was begun'}                     | ${[{ status: 'CREATED' }, { status: 'CREATED' }]}                   | ${'Red'}
    ${'the first is deployed to its slots'} | ${[{ status: 'DEPLOYING' }]}                                        | ${'Yellow'}
  `('is $health when of the stages of a batch job $seen', ({ stages, health }) => {
    const vertices = (stages as Partial<Vertex>[]).map((vertex, stage) => aVertex({ id: `${stage}`, ...vertex }));

    expect(healthOf({ isBatch: true, vertices })).toBe(health);
  });

  it.each`
    secondsSince | health
    ${60}        | ${'Red'}
    ${61}        | ${'Green'}
  `('is $health $secondsSince s after it was failing', ({ secondsSince, health }) => {
    expect(healthOf({}, { lastFailingTime: secondsAgo(secondsSince) })).toBe(health);
  });

  it('reads the zero time of Lyft’s operator, null, as never', () => {
    expect(healthOf({}, { lastFailingTime: null, lastCheckpointTime: null })).toBe('Green');
  });

  it('notes when it was seen failing', () => {
    expect(describeJob({}, aJob({ state: 'FAILING' }), NOW).lastFailingTime).toBe(inSeconds(0));
  });

  it.each`
    failedSecondsAgo   | health     | since
    ${[60]}            | ${'Red'}   | ${undefined}
    ${[61]}            | ${'Green'} | ${undefined}
    ${[61, 100]}       | ${'Green'} | ${undefined}
    ${[61, 300, 661]}  | ${'Red'}   | ${661}
    ${[61, 300, 662]}  | ${'Green'} | ${undefined}
    ${[600, 700, 800]} | ${'Red'}   | ${800}
    ${[601, 700, 800]} | ${'Green'} | ${undefined}
    ${[-5, 5, 15]}     | ${'Red'}   | ${15}
  `('is $health when a job that runs has failed $failedSecondsAgo s ago', ({ failedSecondsAgo, health, since }) => {
    const job = describeJob({}, aJob({ failedSecondsAgo }), NOW);

    expect(job).toMatchObject({ health, lastFailingTime: secondsAgo(failedSecondsAgo[0]) });
    expect(job.restartLoopTime).toBe(since === undefined ? undefined : secondsAgo(since));
  });

  describe('that was in a loop', () => {
    const before = { lastFailingTime: secondsAgo(100), restartLoopTime: secondsAgo(3000), health: 'Red' } as const;

    it.each([
      ['until it has not failed for ten minutes', [600, 1300], secondsAgo(3000)],
      ['no longer when it has not', [601, 700, 800], undefined],
      ['no longer of a JobManager that knows of no failure', [], undefined],
    ])('is %s', (_, failedSecondsAgo, restartLoopTime) => {
      const last = { ...before, lastFailingTime: secondsAgo(failedSecondsAgo[0] ?? 700) };

      expect(describeJob(last, aJob({ failedSecondsAgo }), NOW).restartLoopTime).toBe(restartLoopTime);
    });

    it('stays so while its failures cannot be read', () => {
      expect(describeJob(before, aJob({ cause: undefined }), NOW)).toMatchObject(before);
    });

    it.each(['FAILED', 'CANCELED', 'LOST'])('is not when it is %s', (state) => {
      expect(describeJob(before, aJob({ state, failedSecondsAgo: [1, 2, 3] }), NOW)).not.toHaveProperty(
        'restartLoopTime',
      );
    });
  });

  it.each([
    ['counts restarts as Flink does', 3, 3],
    ['keeps the count while its JobManager has collected none', undefined, 2],
  ])('%s', (_, restarts, jobRestartCount) => {
    const view = { ...aJob(), restarts: { value: restarts } };

    expect(describeJob({ jobRestartCount: 2 }, view, NOW).jobRestartCount).toBe(jobRestartCount);
  });

  it('counts tasks and checkpoints', () => {
    const view = aJob({
      vertices: [
        aVertex({ id: 'a', tasks: { RUNNING: 3, DEPLOYING: 1 } }),
        aVertex({ id: 'b', tasks: { FINISHED: 2 } }),
      ],
      checkpoints: {
        completed: 9,
        failed: 1,
        latestCompleted: completed(CHECKPOINT, 10),
        latestRestored: { ...completed(SAVEPOINT, 500), isSavepoint: true },
      },
    });

    expect(describeJob({ jobID: 'x' }, view, NOW)).toMatchObject({
      jobID: 'x',
      totalTasks: 6,
      runningTasks: 5,
      completedCheckpointCount: 9,
      failedCheckpointCount: 1,
      lastCheckpoint: CHECKPOINT,
      lastCheckpointTime: secondsAgo(10),
      restorePath: SAVEPOINT,
      restoreTime: secondsAgo(500),
      startTime: secondsAgo(3600),
    });
  });

  it('keeps the last that was known while the JobManager does not answer', () => {
    const before = { jobID: 'x', state: 'RUNNING', health: 'Green', lastCheckpoint: CHECKPOINT } as const;

    expect(describeJob(before, aJob({ state: 'SILENT' }), NOW)).toEqual(before);
    expect(describeJob(before, undefined, NOW)).toEqual(before);
  });

  it('keeps the checkpoint of a job that is lost: it begins again from there', () => {
    const before = { jobID: 'x', state: 'RUNNING', lastCheckpoint: CHECKPOINT } as const;

    expect(describeJob(before, aJob({ state: 'LOST' }), NOW)).toEqual({ ...before, state: 'LOST', health: 'Red' });
  });
});

describe('F13: a job that fails or takes no checkpoint stays Green', () => {
  it.each(['FAILED', 'RESTARTING'])('is Red when it is %s (#148)', (state) => {
    expect(describeJob({}, aJob({ state }), NOW).health).toBe('Red');
  });

  it.each`
    age    | health
    ${600} | ${'Green'}
    ${601} | ${'Yellow'}
  `('is $health when its last checkpoint is $age s old', ({ age, health }) => {
    const view = aJob({ checkpoints: { latestCompleted: completed(CHECKPOINT, age) } });

    expect(describeJob({}, view, NOW).health).toBe(health);
  });
});

describe('isGone', () => {
  it.each`
    state         | gone
    ${'RUNNING'}  | ${false}
    ${'FINISHED'} | ${false}
    ${'FAILED'}   | ${true}
    ${'CANCELED'} | ${true}
    ${'LOST'}     | ${true}
    ${'SILENT'}   | ${false}
  `('is $gone when the job is $state', ({ state, gone }) => {
    expect(isGone(jobStateOf(aJob({ state })))).toBe(gone);
  });
});

describe('what /scale reads', () => {
  it.each([
    'Updating',
    'ClusterStarting',
    'Savepointing',
    'Cancelling',
    'Recovering',
    'SubmittingJob',
    'RollingBackJob',
  ])('is the deployed cluster’s size in %s, though the new one is larger', (phase) => {
    const next = midway(phase, { next: { cluster: aCluster(NEW, { taskManagers: 7 }) } });

    expect(next.status.clusterStatus?.numberOfTaskManagers).toBe(2);
  });

  it('is the new cluster’s size in a first deploy', () => {
    const next = firstDeploy('ClusterStarting', {
      next: { cluster: aCluster(NEW, { taskManagers: 7, available: 1 }) },
    });

    expect(next.status.clusterStatus?.numberOfTaskManagers).toBe(7);
  });

  it('counts what the selector selects while a cluster shrinks', () => {
    const next = atRest({ old: { cluster: aCluster(OLD, { pods: 3 }), ...oldJob({}) } });

    expect(next.status.clusterStatus?.numberOfTaskManagers).toBe(3);
  });
});
