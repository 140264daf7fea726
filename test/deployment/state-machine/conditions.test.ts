import { describe, expect, it } from 'vitest';
import type { Condition, UnknownField } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aSilentJobManager,
  atRest,
  CHECKPOINT,
  completed,
  conditionOf,
  firstDeploy,
  inSeconds,
  midway,
  NEW,
  NEW_JOB,
  NEW_REVISION,
  newJob,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  reasonsOf,
  secondsAgo,
} from '../scenes.ts';

const failedDeploy = {
  revision: NEW_REVISION.name,
  hash: NEW,
  parallelism: 4,
  taskManagers: 2,
  reason: 'JobNotRunnable',
  message: 'no such jar',
  time: secondsAgo(9),
  attempts: 1,
};

describe('SpecValid', () => {
  it('is True, or names every fault', () => {
    expect(conditionOf(atRest(), 'SpecValid')).toMatchObject({ status: 'True', reason: 'Valid' });
    expect(conditionOf(atRest({ spec: { parallelism: 0, jarName: '' } }), 'SpecValid')).toMatchObject({
      status: 'False',
      reason: 'InvalidSpec',
      message: expect.stringMatching(/jarName.*parallelism/),
    });
  });
});

describe('Deployed', () => {
  it('is True while the spec is what runs', () => {
    expect(conditionOf(atRest(), 'Deployed')).toMatchObject({
      status: 'True',
      message: `${OLD_REVISION.name} is deployed on cluster ${OLD}`,
    });
  });

  it.each(['ClusterStarting', 'Savepointing', 'SubmittingJob'])('is Unknown in %s, and names the phase', (phase) => {
    const next = midway(phase, { next: { jobManager: aSilentJobManager() }, old: { jobManager: aSilentJobManager() } });

    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'Unknown', reason: phase });
  });

  it('tells what hinders a deploy', () => {
    const next = midway('ClusterStarting', {
      next: { jobManager: aSilentJobManager() },
      status: { lastSeenError: { appError: '503 from somewhere', isRetryable: true, maxRetries: 20 } },
      seen: { troubles: ['orders-1b1b1b1b-tm-x: ImagePullBackOff'] },
    });

    expect(conditionOf(next, 'Deployed')?.message).toMatch(/ImagePullBackOff; 503 from somewhere/);
  });

  it('is False without a cause where nothing keeps a change from being deployed next', () => {
    const next = atRest({
      spec: { image: 'orders:2' },
      status: { phase: 'DeployFailed' },
      seen: { clusters: [aCluster(OLD), aCluster(NEW)] },
    });

    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'NotUpToDate' });
  });

  it('is False with the cause while it is rolled back', () => {
    const next = midway('RollingBackJob', {
      rollout: { failure: { reason: 'JobMonitoringFailed', message: 'boom' } },
      old: { jobManager: aSilentJobManager() },
    });

    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'RollingBack', message: 'boom' });
  });

  it.each`
    retryTime         | told
    ${inSeconds(240)} | ${`at ${inSeconds(240)}`}
    ${undefined}      | ${'when the spec changes'}
  `('says when a failed revision is tried again: $told', ({ retryTime, told }) => {
    const next = atRest({
      spec: { image: 'orders:2' },
      status: { phase: 'DeployFailed', failedDeploy: { ...failedDeploy, ...(retryTime && { retryTime }) } },
    });

    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'JobNotRunnable' });
    expect(conditionOf(next, 'Deployed')?.message).toContain('no such jar');
    expect(conditionOf(next, 'Deployed')?.message).toContain(told);
  });

  it('says that nothing has been deployed yet', () => {
    const next = firstDeploy('', {
      spec: { image: '' },
      status: { phase: '', rollout: undefined } as object,
    });

    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'NotDeployed' });
  });
});

describe('FieldsKnown', () => {
  const misspelt = { field: 'spec.restartPolcy', nearest: 'spec.restartPolicy' };
  const message = 'spec.restartPolcy is not a field that Headrace reads (did you mean spec.restartPolicy?)';
  const before = { type: 'FieldsKnown', status: 'False', reason: 'UnknownFields', message } as const;
  const look = (unknownFields: readonly UnknownField[], conditions: readonly Condition[] = []) =>
    atRest({ application: { unknownFields }, status: { conditions } });

  it('is absent as long as no field was unknown', () => {
    expect(conditionOf(look([]), 'FieldsKnown')).toBeUndefined();
  });

  it('is False while there is one, and names what may be meant; the spec is valid, and nothing else changes', () => {
    const next = look([misspelt, { field: 'spec.ingress' }]);

    const others = `${message}; spec.ingress is not a field that Headrace reads`;
    expect(conditionOf(next, 'FieldsKnown')).toMatchObject({
      status: 'False',
      reason: 'UnknownFields',
      message: others,
    });
    expect(next.events).toEqual([{ type: 'Warning', reason: 'UnknownFields', message: others }]);
    expect(conditionOf(next, 'SpecValid')).toMatchObject({ status: 'True' });
    expect(next).toMatchObject({ status: { phase: 'Running' }, effects: [] });
  });

  it('is reported when there are others, and not at every look', () => {
    const known = { ...before, lastTransitionTime: secondsAgo(60) };

    expect(look([misspelt], [known]).events).toEqual([]);
    expect(reasonsOf(look([misspelt, { field: 'spec.ingress' }], [known]))).toEqual(['UnknownFields']);
  });

  it('is True when there is none any more', () => {
    const next = look([], [{ ...before, lastTransitionTime: secondsAgo(60) }]);

    expect(conditionOf(next, 'FieldsKnown')).toMatchObject({ status: 'True', lastTransitionTime: inSeconds(0) });
    expect(next.events).toEqual([]);
  });
});

describe('JobRunning', () => {
  it('names the parallelism of the new job before the deploy has ended', () => {
    const next = midway('SubmittingJob', {
      rollout: { jobId: NEW_JOB, isSubmitted: true },
      status: { jobStatus: { jobID: NEW_JOB, state: 'RUNNING', parallelism: 2 } },
      next: newJob({ vertices: [{ status: 'RUNNING' }, { id: 'sink', status: 'SCHEDULED' }] }),
    });

    expect(conditionOf(next, 'JobRunning')?.message).toBe(`Job ${NEW_JOB} runs with parallelism 4`);
  });

  it('says that a job that runs fails again and again, and why', () => {
    const next = atRest({ old: oldJob({ failedSecondsAgo: [5, 15, 25], cause: 'the disk is full.' }) });

    expect(conditionOf(next, 'JobRunning')).toMatchObject({
      status: 'True',
      reason: 'JobRestartLoop',
      message: `Job ${OLD_JOB} runs with parallelism 4; it fails again and again since ${secondsAgo(25)}: the disk is full.`,
    });
    expect(next.events).toEqual([
      {
        type: 'Warning',
        reason: 'JobRestartLoop',
        message: `Job ${OLD_JOB} has failed 3 times within 10 minutes: the disk is full.`,
      },
    ]);
  });

  it('reports a loop once, and its end once', () => {
    const jobStatus = { jobID: OLD_JOB, state: 'RUNNING', restartLoopTime: secondsAgo(900) };
    const look = (failedSecondsAgo: readonly number[]) =>
      reasonsOf(atRest({ status: { jobStatus }, old: oldJob({ failedSecondsAgo }) }));

    expect(look([5, 15, 25])).toEqual([]);
    expect(look([600, 700, 800])).toEqual([]);
    expect(look([601, 700, 800])).toEqual(['JobStable']);
  });

  it('ends what it says of a failed job with one full stop', () => {
    const next = atRest({ old: oldJob({ state: 'FAILED', cause: 'not enough resources.' }) });

    expect(conditionOf(next, 'JobRunning')?.message).toMatch(/not enough resources\. restartPolicy is Never/);
    expect(next.events[0]?.message).toBe(`Job ${OLD_JOB} has failed: not enough resources.`);
  });

  it.each`
    state           | status       | reason
    ${'RUNNING'}    | ${'True'}    | ${'JobRunning'}
    ${'RESTARTING'} | ${'False'}   | ${'JobNotRunning'}
    ${'CANCELLING'} | ${'False'}   | ${'JobCancelling'}
    ${'FINISHED'}   | ${'False'}   | ${'JobFinished'}
    ${'FAILED'}     | ${'False'}   | ${'JobFailed'}
    ${'LOST'}       | ${'False'}   | ${'JobLost'}
    ${'SILENT'}     | ${'Unknown'} | ${'JobManagerUnreachable'}
  `('is $status when the job is $state', ({ state, status, reason }) => {
    expect(conditionOf(atRest({ old: oldJob({ state }) }), 'JobRunning')).toMatchObject({ status, reason });
  });

  it('tells why the job has failed, and what can be done', () => {
    const next = atRest({ old: oldJob({ state: 'FAILED', cause: 'OutOfMemoryError' }) });

    expect(conditionOf(next, 'JobRunning')?.message).toMatch(/OutOfMemoryError.*restartPolicy is Never/);
  });

  it('says who cancelled it', () => {
    const message = (phase: string, step: () => ReturnType<typeof atRest>) => [
      phase,
      conditionOf(step(), 'JobRunning')?.message,
    ];

    expect(message('Running', () => atRest({ old: oldJob({ state: 'CANCELED' }) }))[1]).toContain('not by Headrace');
    expect(
      message('Savepointing', () => midway('Cancelling', { old: oldJob({ state: 'CANCELED' }) }))[1],
    ).not.toContain('not by Headrace');
  });

  it('speaks of the new job once that is submitted', () => {
    const next = midway('SubmittingJob', {
      rollout: { jobId: NEW_JOB },
      old: oldJob({ state: 'CANCELED' }),
      next: newJob({ state: 'CREATED' }),
    });

    expect(conditionOf(next, 'JobRunning')?.message).toContain(NEW_JOB);
  });

  it('is False before there is any', () => {
    expect(conditionOf(firstDeploy('ClusterStarting'), 'JobRunning')).toMatchObject({
      status: 'False',
      reason: 'NoJob',
    });
  });

  it('tells from where a lost job begins again', () => {
    const next = atRest({
      spec: { restartPolicy: 'FromLatestCheckpoint' },
      old: oldJob({ state: 'FAILED', checkpoints: { latestCompleted: completed(CHECKPOINT, 9) } }),
    });

    expect(conditionOf(next, 'JobRunning')?.message).toContain(CHECKPOINT);
  });
});

describe('a condition', () => {
  const before = { type: 'JobRunning', reason: 'Old', message: 'old', lastTransitionTime: secondsAgo(500) } as const;

  it('keeps the time of its last transition while its status stays', () => {
    const next = atRest({ status: { conditions: [{ ...before, status: 'True' }] } });

    expect(conditionOf(next, 'JobRunning')).toMatchObject({
      reason: 'JobRunning',
      lastTransitionTime: secondsAgo(500),
    });
  });

  it('has another time when its status changes', () => {
    const next = atRest({ status: { conditions: [{ ...before, status: 'False' }] } });

    expect(conditionOf(next, 'JobRunning')?.lastTransitionTime).toBe(inSeconds(0));
  });

  it('is written with the generation that it speaks of', () => {
    expect(atRest({ application: { generation: 41 } }).status.observedGeneration).toBe(41);
  });
});
