import { describe, expect, it } from 'vitest';
import { step } from '../../../shared/deployment/state-machine.ts';
import type { Cluster } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  aJob,
  aJobManager,
  anApplication,
  anObservation,
  aSilentJobManager,
  aStatus,
  aStoppedCluster,
  atRest,
  inSeconds,
  kindsOf,
  NEW,
  NEW_REVISION,
  NOW,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  reasonsOf,
  secondsAgo,
} from '../scenes.ts';

const LEFT_JOB = 'f'.repeat(32);
const CONFIG_MAPS = [{ name: `orders-${NEW}-cluster-config-map`, uid: 'uid-of-config-map' }];

interface Leftover {
  readonly cluster?: Cluster;
  readonly state?: string;
  /** How long ago the deploy failed. */
  readonly failedAgo?: number;
}

/** Orders:1 runs; the cluster of orders:2, whose deploy has failed, is left. */
function withLeftover({ cluster = aCluster(NEW), state = 'RUNNING', failedAgo = 5 }: Leftover = {}) {
  const failedDeploy = {
    revision: NEW_REVISION.name,
    hash: NEW,
    parallelism: 4,
    taskManagers: 2,
    reason: 'JobMonitoringFailed',
    message: 'it did not run',
    attempts: 1,
    time: secondsAgo(failedAgo),
    retryTime: inSeconds(300),
  };
  const leftover = state === 'SILENT' ? aSilentJobManager() : aJobManager({ jobs: { [LEFT_JOB]: aJob({ state }) } });
  return atRest({
    spec: { image: 'orders:2' },
    status: { phase: 'DeployFailed', failedDeploy },
    seen: {
      clusters: [aCluster(OLD), cluster],
      revisions: [OLD_REVISION, NEW_REVISION],
      jobManagers: { [OLD]: aJobManager({ jobs: { [OLD_JOB]: aJob() } }), [NEW]: leftover },
    },
  });
}

describe('the cluster of a deploy that has failed', () => {
  it('ends its job first, so that nothing of it is left to be resumed', () => {
    const next = withLeftover();

    expect(next.effects).toEqual([{ kind: 'CancelJob', hash: NEW, jobId: LEFT_JOB }]);
    expect(reasonsOf(next)).toEqual(['ForceCanceling']);
    expect(next.isInTransition).toBe(true);
  });

  it('waits for the end of that job', () => {
    const next = withLeftover({ state: 'CANCELLING' });

    expect(next).toMatchObject({ effects: [], isInTransition: true });
  });

  it.each([
    ['has ended', { state: 'CANCELED' }],
    ['is not known, since the JobManager does not respond', { state: 'SILENT' }],
    ['has not ended within a minute', { state: 'CANCELLING', failedAgo: 60 }],
  ])('goes when its job %s', (_, leftover) => {
    const next = withLeftover(leftover);

    expect(kindsOf(next)).toEqual(['DeleteCluster']);
    expect(reasonsOf(next)).toEqual(['ToreDownCluster']);
    expect(next.isInTransition).toBe(false);
  });
});

describe('what high availability keeps of a cluster that is to go', () => {
  const keeping = (cluster: Cluster): Cluster => ({ ...cluster, highAvailability: { value: CONFIG_MAPS } });

  it('stays until no JobManager is left that would make it anew', () => {
    const next = withLeftover({ state: 'CANCELED', cluster: keeping(aCluster(NEW)) });

    expect(next.effects).toMatchObject([
      { kind: 'ScaleDeployment', name: `orders-${NEW}-jm`, replicas: 0 },
      { kind: 'ScaleDeployment', name: `orders-${NEW}-tm`, replicas: 0 },
    ]);
  });

  it('then goes, before the objects by which the cluster is known', () => {
    const next = withLeftover({ state: 'CANCELED', cluster: keeping(aStoppedCluster(NEW)) });

    expect(next.effects).toEqual([{ kind: 'DeleteConfigMaps', hash: NEW, configMaps: CONFIG_MAPS }]);
  });

  it('is waited for while it cannot be read', () => {
    const cluster = { ...aCluster(NEW), highAvailability: { unreadable: '500' } };

    expect(withLeftover({ state: 'CANCELED', cluster }).effects).toEqual([]);
  });

  it('holds up no cluster of which there is nothing', () => {
    const cluster = { ...aCluster(NEW), highAvailability: { value: [] } };

    expect(kindsOf(withLeftover({ state: 'CANCELED', cluster }))).toEqual(['DeleteCluster']);
  });

  it('does not keep the next deploy waiting once its pods are gone', () => {
    const begin = (cluster: Cluster) =>
      atRest({ spec: { image: 'orders:3' }, seen: { clusters: [aCluster(OLD), cluster] } }).status.phase;

    expect(begin(keeping(aCluster(NEW)))).toBe('Running');
    expect(begin(keeping(aStoppedCluster(NEW)))).toBe('Updating');
  });

  describe('goes with its application', () => {
    const deleting = (cluster: Cluster, deadline = inSeconds(600), deleteMode: 'Savepoint' | 'None' = 'Savepoint') =>
      step({
        application: anApplication({
          isDeleting: true,
          spec: { deleteMode },
          status: aStatus({ phase: 'Deleting', deletion: { deadline, attempts: 0 } }),
        }),
        observation: anObservation({
          clusters: [cluster],
          jobManagers: { [OLD]: aJobManager({ jobs: { [OLD_JOB]: aJob({ state: 'CANCELED' }) } }) },
        }),
        now: NOW,
      });

    it('after its job and its pods, and before the finalizer', () => {
      expect(kindsOf(deleting(keeping(aCluster(OLD))))).toEqual(['ScaleDeployment', 'ScaleDeployment']);
      expect(kindsOf(deleting(keeping(aStoppedCluster(OLD))))).toEqual(['DeleteConfigMaps']);
      expect(kindsOf(deleting({ ...aStoppedCluster(OLD), highAvailability: { value: [] } }))).toEqual([
        'RemoveFinalizer',
      ]);
    });

    it('but is not waited for beyond the time of the deletion, nor with deleteMode None', () => {
      expect(kindsOf(deleting(keeping(aCluster(OLD)), secondsAgo(1)))).toEqual(['RemoveFinalizer']);
      expect(kindsOf(deleting(keeping(aCluster(OLD)), inSeconds(600), 'None'))).toEqual(['RemoveFinalizer']);
    });
  });
});
