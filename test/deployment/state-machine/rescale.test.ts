import { describe, expect, it } from 'vitest';
import type { ResourceRequirements, TaskManager } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  aRevision,
  atRest,
  effectsOf,
  inSeconds,
  kindsOf,
  midway,
  NEW,
  NEW_JOB,
  NOW,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  oldJob,
  reasonsOf,
  type SceneParts,
  secondsAgo,
  selectorOf,
  TRIGGER,
} from '../scenes.ts';

const sized = (replicas: number) => aRevision({ image: 'orders:1', taskManagerConfig: { replicas } });
const FOUR = sized(4);
const ONE = sized(1);
const upTo = (upperBound: number): ResourceRequirements => ({ source: { lowerBound: 1, upperBound } });
const PLACE = { image: 'orders:1', scaleMode: 'InPlace' as const };

describe('a change of size at rest', () => {
  const resized = (replicas: number, parts: SceneParts = {}) =>
    atRest({ ...parts, spec: { ...PLACE, taskManagerConfig: { replicas }, ...parts.spec } });

  it.each`
    replicas | requirements | checkpoints  | scaleMode       | kind
    ${4}     | ${upTo(4)}   | ${10_000}    | ${'InPlace'}    | ${'InPlace'}
    ${1}     | ${upTo(4)}   | ${10_000}    | ${'InPlace'}    | ${'InPlace'}
    ${4}     | ${upTo(4)}   | ${undefined} | ${'InPlace'}    | ${'InPlaceWithSavepoint'}
    ${1}     | ${upTo(4)}   | ${undefined} | ${'InPlace'}    | ${'NewCluster'}
    ${4}     | ${undefined} | ${10_000}    | ${'InPlace'}    | ${'InPlaceWithSavepoint'}
    ${1}     | ${undefined} | ${10_000}    | ${'InPlace'}    | ${'NewCluster'}
    ${4}     | ${upTo(4)}   | ${10_000}    | ${'NewCluster'} | ${'NewCluster'}
  `(
    'to $replicas TaskManagers with requirements $requirements, checkpoints every $checkpoints ms and $scaleMode is $kind',
    ({ replicas, requirements, checkpoints: intervalMilliseconds, scaleMode, kind }) => {
      const next = resized(replicas, {
        spec: { scaleMode },
        old: oldJob({ requirements, config: { intervalMilliseconds } }),
      });

      expect(next.status.rollout?.kind).toBe(kind);
      expect(next.status.rollout?.revision).toBe(sized(replicas).name);
    },
  );

  it('stays on its cluster and passes Rescaling', () => {
    const next = resized(4, { old: oldJob({ requirements: upTo(4) }) });

    expect(next.status).toMatchObject({
      phase: 'Rescaling',
      deployHash: OLD,
      rollout: { hash: OLD, oldJobId: OLD_JOB },
    });
    expect(next.effects).toEqual([{ kind: 'CreateRevision', ...FOUR }]);
  });

  it.each(['FAILED', 'LOST', 'FINISHED', 'CANCELED'])('is not begun when the job is %s', (state) => {
    expect(resized(4, { old: oldJob({ state, requirements: upTo(4) }) }).status.rollout).toBeUndefined();
  });

  it('waits for a JobManager that does not answer, and needs a new cluster when it has been silent for long', () => {
    const silent = { old: oldJob({ state: 'SILENT', requirements: upTo(4) }) };
    const since = (seconds: number) => ({
      conditions: [
        {
          type: 'JobRunning',
          status: 'Unknown',
          reason: 'JobManagerUnreachable',
          message: '',
          lastTransitionTime: secondsAgo(seconds),
        },
      ] as const,
    });

    expect(resized(4, silent).status.rollout).toBeUndefined();
    expect(resized(4, { ...silent, status: since(299) }).status.rollout).toBeUndefined();
    expect(resized(4, { ...silent, status: since(300) }).status.rollout?.kind).toBe('NewCluster');
  });

  it('needs a new cluster when anything else changes too (isScaleUp: 150 and another change)', () => {
    const next = resized(4, { spec: { image: 'orders:2' }, old: oldJob({ requirements: upTo(4) }) });

    expect(next.status.rollout?.kind).toBe('NewCluster');
  });

  it('is not made in place in BlueGreen, and it is said', () => {
    const next = resized(4, {
      spec: { deploymentMode: 'BlueGreen' },
      status: { deploymentMode: 'BlueGreen', deployVersion: 'green' },
    });

    expect(next.status.rollout?.kind).toBe('NewCluster');
    expect(reasonsOf(next)).toContain('NotScalingInPlace');
  });

  it('is no change while replicas is what parallelism says', () => {
    expect(resized(2).status.phase).toBe('Running');
  });
});

function growing({ rollout, seen, ...parts }: SceneParts = {}) {
  return midway('Rescaling', {
    spec: { ...PLACE, taskManagerConfig: { replicas: 4 } },
    seen: { revisions: [OLD_REVISION, FOUR], ...seen },
    rollout: { kind: 'InPlace', hash: OLD, revision: FOUR.name, ...rollout },
    ...parts,
  });
}

function shrinking({ rollout, seen, ...parts }: SceneParts = {}) {
  return midway('Rescaling', {
    spec: { ...PLACE, taskManagerConfig: { replicas: 1 } },
    seen: { revisions: [OLD_REVISION, ONE], ...seen },
    rollout: { kind: 'InPlace', hash: OLD, revision: ONE.name, ...rollout },
    ...parts,
  });
}

const jobWith = (upperBound: number, parallelism: number, slots = 8, state = 'RUNNING') => ({
  jobManager: aJobManager({
    slots,
    jobs: { [OLD_JOB]: aJob({ state, requirements: upTo(upperBound), vertices: [{ parallelism }] }) },
  }),
});

describe('growing with the adaptive scheduler', () => {
  it('adds TaskManagers first', () => {
    const next = growing({ old: jobWith(4, 4, 4) });

    expect(next.effects).toEqual([
      { kind: 'ScaleDeployment', name: `orders-${OLD}-tm`, resourceVersion: '1', replicas: 4 },
    ]);
    expect(reasonsOf(next)).toEqual(['ClusterScaleUp']);
  });

  it.each`
    available | slots | seen
    ${3}      | ${8}  | ${'a pod is missing'}
    ${4}      | ${7}  | ${'a slot is missing'}
  `('waits while $seen', ({ available, slots }) => {
    const next = growing({ old: { cluster: aCluster(OLD, { taskManagers: 4, available }), ...jobWith(4, 4, slots) } });

    expect(next).toMatchObject({ status: { phase: 'Rescaling' }, effects: [] });
  });

  it('then tells the job its new parallelism', () => {
    const next = growing({ old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(4, 4) } });

    expect(next.effects).toEqual([
      { kind: 'SetResourceRequirements', hash: OLD, jobId: OLD_JOB, requirements: upTo(8) },
    ]);
  });

  it.each`
    parallelism | state
    ${4}        | ${'RUNNING'}
    ${8}        | ${'RESTARTING'}
  `('waits while the job is $state with $parallelism', ({ parallelism, state }) => {
    const next = growing({
      old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(8, parallelism, 8, state) },
    });

    expect(next).toMatchObject({ status: { phase: 'Rescaling' }, effects: [] });
  });

  it('is Running with the same cluster, job and selector when the job runs with 8', () => {
    const next = growing({ old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(8, 8) } });

    expect(next.status).toMatchObject({
      phase: 'Running',
      deployHash: OLD,
      selector: selectorOf(OLD),
      currentRevision: FOUR.name,
      jobStatus: { jobID: OLD_JOB, parallelism: 8 },
      clusterStatus: { numberOfTaskManagers: 4 },
    });
    expect(next.status).not.toHaveProperty('rollout');
    expect(reasonsOf(next)).toEqual(['Rescaled']);
  });

  it('refuses more than the state of the job allows before anything is touched', () => {
    const jobs = { [OLD_JOB]: aJob({ requirements: upTo(4), vertices: [{ parallelism: 4, maxParallelism: 7 }] }) };

    const next = growing({ old: { jobManager: aJobManager({ jobs }) } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', failedDeploy: { reason: 'MaxParallelismExceeded' } });
    expect(next.effects).toEqual([]);
  });

  it.each`
    what                        | parts                                          | reason
    ${'its time is over'}       | ${{ rollout: { deadline: inSeconds(0) } }}     | ${'RescaleTimedOut'}
    ${'forceRollback is set'}   | ${{ spec: { ...PLACE, forceRollback: true } }} | ${'ForcedRollback'}
    ${'its job ends meanwhile'} | ${{ old: oldJob({ state: 'FAILED' }) }}        | ${'JobEnded'}
  `('is taken back when $what', ({ parts, reason }) => {
    const next = growing(parts);

    expect(next.status).toMatchObject({ phase: 'RollingBackJob', rollout: { failure: { reason } } });
    expect(reasonsOf(next)).toContain('ClusterScaleUpFailed');
  });
});

describe('shrinking with the adaptive scheduler', () => {
  it('lowers the parallelism first', () => {
    expect(shrinking({ old: jobWith(4, 4) }).effects).toEqual([
      { kind: 'SetResourceRequirements', hash: OLD, jobId: OLD_JOB, requirements: upTo(2) },
    ]);
  });

  it('removes no TaskManager while the job still runs with more', () => {
    expect(shrinking({ old: jobWith(2, 4) }).effects).toEqual([]);
  });

  const scaleDown = { kind: 'ScaleDeployment', name: `orders-${OLD}-tm`, resourceVersion: '1', replicas: 1 };
  const preferring = (...podIps: readonly string[]) => ({
    kind: 'PreferDeletion',
    podIps,
    selector: selectorOf(OLD),
  });
  const busy = { id: 'busy', host: '10.0.0.1', slots: 2, freeSlots: 0 };
  const idle = { id: 'idle', host: '10.0.0.2', slots: 2, freeSlots: 2 };

  /** The job runs with its new parallelism, 2, and these are its TaskManagers; undefined: they cannot be read. */
  function lowered(taskManagers: readonly Partial<TaskManager>[] | undefined, parts: SceneParts = {}) {
    const jobs = { [OLD_JOB]: aJob({ requirements: upTo(2), vertices: [{ parallelism: 2 }] }) };
    const listed = aJobManager({ jobs, ...(taskManagers && { taskManagers }) });
    const jobManager = taskManagers ? listed : { ...listed, taskManagers: { unreadable: '503 Service Unavailable' } };
    return shrinking({ ...parts, old: { jobManager, ...parts.old } });
  }

  it('then removes those that hold no slot', () => {
    const next = lowered([busy, idle]);

    expect(next.effects).toEqual([preferring('10.0.0.2'), scaleDown]);
    expect(reasonsOf(next)).toEqual([]);
  });

  it.each`
    taskManagers                                   | replicas | what
    ${[busy, { ...idle, freeSlots: 0 }]}           | ${2}     | ${'the job holds slots that it does not use any more'}
    ${[{ ...busy, freeSlots: 1 }, idle, busy]}     | ${3}     | ${'fewer hold no slot than are to go'}
    ${[busy, { ...idle, slots: 0, freeSlots: 0 }]} | ${2}     | ${'one has not told of its slots yet'}
    ${[idle]}                                      | ${3}     | ${'one that the job needs is not listed'}
    ${undefined}                                   | ${2}     | ${'the TaskManagers cannot be read'}
  `('waits while $what', ({ taskManagers, replicas }) => {
    const next = lowered(taskManagers, { old: { cluster: aCluster(OLD, { taskManagers: replicas }) } });

    expect(next).toMatchObject({ status: { phase: 'Rescaling' }, effects: [], events: [] });
  });

  it('does not wait for TaskManagers without a slot where the job holds no slot too many', () => {
    const next = lowered([
      { ...busy, freeSlots: 1 },
      { ...idle, freeSlots: 1 },
    ]);

    expect(next.effects).toEqual([scaleDown]);
    expect(next.events).toEqual([
      {
        type: 'Normal',
        reason: 'ShrinkingBusyTaskManagers',
        message: '1 of the 1 TaskManagers that go still hold slots: the job restarts once from its latest checkpoint',
      },
    ]);
  });

  it.each`
    time   | patience
    ${300} | ${150}
    ${900} | ${150}
    ${20}  | ${10}
  `('waits $patience s of the $time s that it has, and then removes whatever holds slots', ({ time, patience }) => {
    const rollout = { startTime: inSeconds(0), deadline: inSeconds(time) };
    const held = [busy, { ...idle, freeSlots: 0 }, { id: 'other', host: '10.0.0.3', slots: 2, freeSlots: 2 }];
    const at = (seconds: number) =>
      lowered(held, { rollout, old: { cluster: aCluster(OLD, { taskManagers: 3 }) }, now: NOW + seconds * 1000 });

    expect(at(patience - 1)).toMatchObject({ effects: [], events: [] });
    expect(at(patience).effects).toEqual([preferring('10.0.0.3'), scaleDown]);
    expect(at(patience).events).toMatchObject([
      { message: expect.stringContaining('1 of the 2 TaskManagers that go still hold slots') },
    ]);
  });

  it('does not wait for ever for TaskManagers that cannot be read', () => {
    const next = lowered(undefined, { now: NOW + 90_000 });

    expect(next.effects).toEqual([scaleDown]);
    expect(next.events).toMatchObject([
      { reason: 'ShrinkingBusyTaskManagers', message: expect.stringContaining('It is not known') },
    ]);
  });

  describe('once the Deployment is smaller', () => {
    const one = { cluster: aCluster(OLD, { taskManagers: 1 }) };

    it.each`
      what                                           | taskManagers                   | old
      ${'a pod is leaving'}                          | ${[busy]}                      | ${{ cluster: aCluster(OLD, { taskManagers: 1, pods: 2 }) }}
      ${'the JobManager still has one that goes'}    | ${[busy, idle]}                | ${one}
      ${'the job has lost slots, and not found out'} | ${[{ ...busy, freeSlots: 1 }]} | ${one}
      ${'the TaskManagers cannot be read'}           | ${undefined}                   | ${one}
      ${'the job restarts'}                          | ${[busy]}                      | ${{ ...one, ...jobWith(2, 2, 2, 'RESTARTING') }}
    `('waits while $what', ({ taskManagers, old }) => {
      expect(lowered(taskManagers, { old })).toMatchObject({ status: { phase: 'Rescaling' }, effects: [] });
    });

    it('is Running when the job holds its slots on what is left', () => {
      const next = lowered([busy], { old: one });

      expect(next.status).toMatchObject({ phase: 'Running', currentRevision: ONE.name, jobStatus: { parallelism: 2 } });
    });

    it('is Running when vertices that have finished need no slot any more', () => {
      const requirements = { ...upTo(2), sink: { lowerBound: 1, upperBound: 1 } };
      const vertices = [
        { parallelism: 2, status: 'FINISHED' },
        { id: 'sink', parallelism: 1 },
      ];
      const jobs = { [OLD_JOB]: aJob({ requirements, vertices }) };

      const next = shrinking({
        old: { ...one, jobManager: aJobManager({ jobs, taskManagers: [{ ...busy, freeSlots: 1 }] }) },
      });

      expect(next.status.phase).toBe('Running');
    });
  });
});

describe('growing with the default scheduler', () => {
  const moving = (parts: SceneParts = {}) =>
    growing({ ...parts, rollout: { kind: 'InPlaceWithSavepoint', ...parts.rollout } });

  it('adds TaskManagers, then moves the job by a savepoint', () => {
    const first = moving();
    const then = moving({ old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(4, 4) } });

    expect(effectsOf(first, 'ScaleDeployment')[0]?.replicas).toBe(4);
    expect(then.status.phase).toBe('Savepointing');
  });

  it('leaves the job alone when it fails before', () => {
    const next = moving({ rollout: { deadline: inSeconds(0) } });

    expect(next.status).toMatchObject({ phase: 'DeployFailed', jobStatus: { jobID: OLD_JOB } });
  });

  it('ends on the same cluster under the same hash', () => {
    const jobs = { [OLD_JOB]: aJob({ state: 'CANCELED' }), [NEW_JOB]: aJob() };

    const next = midway('SubmittingJob', {
      spec: { ...PLACE, taskManagerConfig: { replicas: 4 } },
      seen: { revisions: [OLD_REVISION, FOUR] },
      rollout: { kind: 'InPlaceWithSavepoint', hash: OLD, revision: FOUR.name, jobId: NEW_JOB, isSubmitted: true },
      old: { cluster: aCluster(OLD, { taskManagers: 4 }), jobManager: aJobManager({ slots: 8, jobs }) },
    });

    expect(next.status).toMatchObject({
      phase: 'Running',
      deployHash: OLD,
      currentRevision: FOUR.name,
      jobStatus: { jobID: NEW_JOB, parallelism: 8 },
    });
  });
});

describe('F7: a second rescale in place loses the JobManager’s service', () => {
  it('keeps deployHash, so that nothing of the cluster is ever a leftover', () => {
    const first = growing({ old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(8, 8) } });
    const eight = sized(8);
    const second = midway('Rescaling', {
      spec: { ...PLACE, taskManagerConfig: { replicas: 8 } },
      seen: { revisions: [FOUR, eight] },
      status: { currentRevision: FOUR.name },
      rollout: { kind: 'InPlace', hash: OLD, revision: eight.name },
      old: { cluster: aCluster(OLD, { taskManagers: 8 }), ...jobWith(16, 16, 16) },
    });

    expect([first.status.deployHash, second.status.deployHash]).toEqual([OLD, OLD]);
    expect(second.status.phase).toBe('Running');
    expect(kindsOf(second)).toEqual([]);
  });

  it('leaves a cluster alone that Lyft’s operator has scaled in place under two hashes', () => {
    const next = atRest({
      status: { inPlaceUpdatedFromHash: NEW },
      seen: { clusters: [aCluster(OLD, { taskManagers: 9 }), { hash: NEW }] },
    });

    expect(next.effects).toEqual([]);
  });
});

describe('F18: a rescale doubles the cluster, even to make it smaller', () => {
  it.each([growing, shrinking])('creates no cluster at any moment of %o', (rescaling) => {
    const moments = [
      {},
      { old: jobWith(4, 4) },
      { old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(4, 4) } },
    ];

    for (const moment of moments) expect(kindsOf(rescaling(moment))).not.toContain('CreateCluster');
  });
});

describe('a rescale', () => {
  it('takes no savepoint with the adaptive scheduler, whatever is left of an earlier one', () => {
    const next = growing({ status: { savepointTriggerId: TRIGGER } });

    expect(kindsOf(next)).not.toContain('TriggerSavepoint');
  });

  it('stores its pinned target again while the spec still asks for it', () => {
    expect(growing({ seen: { revisions: [OLD_REVISION] } }).effects).toEqual([{ kind: 'CreateRevision', ...FOUR }]);
  });

  it('fails when its target was deleted and the spec asks for something else', () => {
    const next = growing({ spec: { image: 'orders:9' }, seen: { revisions: [OLD_REVISION] } });

    expect(next.status.phase).toBe('DeployFailed');
  });

  it('finishes the size it began with when another one arrives', () => {
    const next = growing({
      spec: { ...PLACE, taskManagerConfig: { replicas: 3 } },
      old: { cluster: aCluster(OLD, { taskManagers: 4 }), ...jobWith(8, 8) },
    });

    expect(next.status).toMatchObject({ phase: 'Running', currentRevision: FOUR.name });
  });
});
