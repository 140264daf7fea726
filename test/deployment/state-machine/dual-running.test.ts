import { describe, expect, it } from 'vitest';
import {
  aCluster,
  aRevision,
  aRollout,
  aService,
  aSilentJobManager,
  atRest,
  conditionOf,
  effectsOf,
  kindsOf,
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
  type SceneParts,
  selectorOf,
  without,
} from '../scenes.ts';

const GREEN = { cluster: aCluster(OLD, { colour: 'green' }) };
const BLUE = { cluster: aCluster(NEW, { colour: 'blue' }) };
const MODE = { deploymentMode: 'BlueGreen' };
const SERVICES = [aService('orders-green', 'jm0a0a0a'), aService('orders-blue', 'jm1b1b1b')];

/** Green runs orders:1 and is deployed, blue runs orders:2. */
function dual({ spec, status, old, next, ...parts }: SceneParts = {}) {
  return midway('DualRunning', {
    spec: { ...MODE, ...spec },
    status: {
      ...MODE,
      deployVersion: 'green',
      updatingVersion: 'blue',
      updatingHash: NEW,
      rollout: aRollout({ jobId: NEW_JOB, isSubmitted: true }),
      ...status,
    },
    old: { ...GREEN, ...old },
    next: { ...BLUE, ...newJob({}), ...next },
    ...parts,
  });
}

describe('the colours', () => {
  it('begin with green', () => {
    const next = atRest({
      spec: MODE,
      status: without(['phase', 'deployHash', 'currentRevision', 'jobStatus', 'selector'], MODE),
      seen: { clusters: [], services: [], revisions: [] },
    });

    expect(next.status).toMatchObject({ deployVersion: 'green', updatingVersion: 'green', phase: 'Updating' });
    expect(next.status.updatingHash).toBe(next.status.rollout?.hash);
  });

  it.each`
    deployed   | updating
    ${'green'} | ${'blue'}
    ${'blue'}  | ${'green'}
  `('go on with $updating after $deployed', ({ deployed, updating }) => {
    const next = atRest({ spec: { ...MODE, image: 'orders:2' }, status: { ...MODE, deployVersion: deployed } });

    expect(next.status).toMatchObject({ deployVersion: deployed, updatingVersion: updating });
  });

  it('name the cluster that is made', () => {
    const next = midway('ClusterStarting', {
      spec: MODE,
      status: { ...MODE, deployVersion: 'green', updatingVersion: 'blue', updatingHash: NEW },
      next: { cluster: undefined, jobManager: undefined },
    });

    expect(effectsOf(next, 'CreateCluster')[0]?.target.version).toBe('blue');
  });

  it('begin with green again when the first deploy has failed', () => {
    const { oldJobId, ...first } = aRollout();

    const next = midway('ClusterStarting', {
      spec: { ...MODE, forceRollback: true },
      status: without(['deployHash', 'currentRevision', 'jobStatus'], {
        ...MODE,
        deployVersion: 'green',
        updatingVersion: 'green',
        updatingHash: NEW,
        rollout: first,
      }),
    });

    expect(oldJobId).toBe(OLD_JOB);
    expect(next.status.phase).toBe('DeployFailed');
    for (const field of ['deployVersion', 'updatingVersion', 'updatingHash'])
      expect(next.status).not.toHaveProperty(field);
  });
});

describe('DualRunning', () => {
  it('lets both run until it is told which one to end', () => {
    const next = dual();

    expect(next).toMatchObject({ status: { phase: 'DualRunning' }, effects: [], events: [], isInTransition: false });
    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'True', reason: 'DualRunning' });
  });

  it('pays no attention to a hash that neither version bears', () => {
    expect(dual({ spec: { tearDownVersionHash: '99999999' } })).toMatchObject({
      status: { phase: 'DualRunning' },
      effects: [],
      isInTransition: false,
    });
  });

  it('says that a change of the spec waits for the tear-down', () => {
    const next = dual({ spec: { image: 'orders:3' } });

    expect(conditionOf(next, 'Deployed')).toMatchObject({ status: 'False', reason: 'TearDownAwaited' });
    expect(conditionOf(next, 'Deployed')?.message).toContain(aRevision({ image: 'orders:3' }).name);
  });
});

describe('tearing down the old version', () => {
  const spec = { tearDownVersionHash: OLD };

  it('cancels its job first', () => {
    const next = dual({ spec });

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: OLD, jobId: OLD_JOB }]);
    expect(reasonsOf(next)).toEqual(['ForceCanceling']);
    expect(next.isInTransition).toBe(true);
  });

  it.each(['CANCELLING', 'SILENT'])('waits while the job is %s', (state) => {
    expect(dual({ spec, old: oldJob({ state }) })).toMatchObject({ status: { phase: 'DualRunning' }, effects: [] });
  });

  it('then deletes its cluster with the services of its colour', () => {
    const next = dual({ spec, old: oldJob({ state: 'CANCELED' }) });

    expect(next.effects).toEqual([
      {
        kind: 'DeleteCluster',
        hash: OLD,
        deployments: [`orders-${OLD}-green-jm`, `orders-${OLD}-green-tm`],
        services: ['orders-green', `orders-${OLD}`],
      },
    ]);
  });

  it('deletes what is left of its cluster when its JobManager is gone already', () => {
    const { jobManager: _, ...rest } = GREEN.cluster;

    const next = dual({ spec, old: { cluster: rest, jobManager: undefined } });

    expect(effectsOf(next, 'DeleteCluster')).toMatchObject([{ deployments: [`orders-${OLD}-green-tm`] }]);
  });

  it('is Running with the new version, whose job, selector and status move to the top', () => {
    const next = dual({
      spec,
      old: { cluster: undefined, jobManager: undefined },
      seen: {
        clusters: [BLUE.cluster],
        services: SERVICES,
        jobManagers: { [NEW]: newJob({}).jobManager ?? aSilentJobManager() },
      },
    });

    expect(next.status).toMatchObject({
      phase: 'Running',
      deployHash: NEW,
      deployVersion: 'blue',
      currentRevision: NEW_REVISION.name,
      selector: selectorOf(NEW),
      jobStatus: { jobID: NEW_JOB, state: 'RUNNING', programArgs: '' },
      clusterStatus: { numberOfTaskManagers: 2 },
    });
    expect(next.status.versionStatuses).toMatchObject([{ appVersion: 'blue', versionHash: NEW }, {}]);
    for (const field of ['rollout', 'updatingHash', 'updatingVersion']) expect(next.status).not.toHaveProperty(field);
    expect(reasonsOf(next)).toEqual(['TeardownCompleted']);
  });
});

describe('tearing down the new version', () => {
  const spec = { tearDownVersionHash: NEW };

  it('cancels its job and leaves the old one alone', () => {
    expect(dual({ spec }).effects).toEqual([{ kind: 'CancelJob', hash: NEW, jobId: NEW_JOB }]);
  });

  it('keeps the old version, and does not deploy the torn one again by itself', () => {
    const torn = dual({ spec, next: { cluster: undefined, jobManager: undefined } });
    const later = atRest({
      spec: { ...MODE, ...spec, image: 'orders:2' },
      status: torn.status,
      old: GREEN,
      seen: { revisions: [OLD_REVISION, NEW_REVISION], services: SERVICES },
    });

    expect(torn.status).toMatchObject({
      phase: 'DeployFailed',
      deployHash: OLD,
      jobStatus: { jobID: OLD_JOB },
      failedDeploy: { reason: 'TornDown', revision: NEW_REVISION.name },
    });
    expect(later.status.phase).toBe('DeployFailed');
    expect(later.status.rollout).toBeUndefined();
    expect(kindsOf(later)).toEqual([]);
  });

  it('is Running again when the spec is put back', () => {
    const torn = dual({ spec, next: { cluster: undefined, jobManager: undefined } });

    const next = atRest({ spec: { ...MODE }, status: torn.status, old: GREEN, seen: { services: SERVICES } });

    expect(next.status.phase).toBe('Running');
  });
});

describe('F21: BlueGreen leaves the top of the status unmaintained, and asks by the wrong job', () => {
  it('shows the deployed version at the top and both below', () => {
    const next = dual({
      old: oldJob({ checkpoints: { completed: 7 } }),
      next: newJob({ checkpoints: { completed: 3 } }),
    });

    expect(next.status.jobStatus).toMatchObject({ jobID: OLD_JOB, completedCheckpointCount: 7 });
    expect(next.status.clusterStatus?.numberOfTaskManagers).toBe(2);
    expect(next.status.versionStatuses).toMatchObject([
      { appVersion: 'green', versionHash: OLD, jobStatus: { jobID: OLD_JOB, completedCheckpointCount: 7 } },
      { appVersion: 'blue', versionHash: NEW, jobStatus: { jobID: NEW_JOB, completedCheckpointCount: 3 } },
    ]);
  });

  it('counts the TaskManagers of each version by its own Deployment', () => {
    const next = dual({ next: { cluster: aCluster(NEW, { taskManagers: 5, colour: 'blue' }) } });

    expect(next.status.versionStatuses?.map((version) => version.clusterStatus?.numberOfTaskManagers)).toEqual([2, 5]);
  });

  it('says that a job has failed while both run', () => {
    const next = dual({ old: oldJob({ state: 'FAILED' }) });

    expect(reasonsOf(next)).toEqual(['JobFailed']);
    expect(conditionOf(next, 'JobRunning')).toMatchObject({ status: 'False', reason: 'JobFailed' });
  });

  it('keeps the selector of the deployed version all the time', () => {
    expect(dual().status.selector).toBe(selectorOf(OLD));
  });
});
