import { describe, expect, it } from 'vitest';
import { readFlinkApplication } from '../../shared/kubernetes/flink-application.ts';

function aWireApplication({
  metadata = {},
  spec = { parallelism: 4, taskManagerConfig: { taskSlots: 2, replicas: 2 } },
  status = {
    phase: 'Running',
    selector: 'flink-app=orders',
    clusterStatus: { numberOfTaskManagers: 2 },
    scaleBasis: { parallelism: 4, taskSlots: 2 },
    lastReplicas: 5,
    currentRevision: 'orders-0123456789',
  },
}: {
  readonly metadata?: object;
  readonly spec?: unknown;
  readonly status?: unknown;
} = {}) {
  return { metadata: { namespace: 'flink', name: 'orders', resourceVersion: '7', ...metadata }, spec, status };
}

describe('readFlinkApplication', () => {
  it('reads size, basis, phase and selector', () => {
    expect(readFlinkApplication(aWireApplication())).toEqual({
      namespace: 'flink',
      name: 'orders',
      resourceVersion: '7',
      generation: 0,
      observedGeneration: 0,
      isDeleting: false,
      size: { parallelism: 4, taskSlots: 2, replicas: 2 },
      scaleBasis: { parallelism: 4, taskSlots: 2 },
      lastReplicas: 5,
      hasRevision: true,
      phase: 'Running',
      numberOfTaskManagers: 2,
      selector: 'flink-app=orders',
      conditions: [],
    });
  });

  it.each([
    ['no taskManagerConfig', { parallelism: 4 }, { parallelism: 4, taskSlots: 16 }],
    [
      'no slots',
      { parallelism: 4, taskManagerConfig: { replicas: 1 } },
      { parallelism: 4, taskSlots: 16, replicas: 1 },
    ],
    ['no replicas', { parallelism: 4, taskManagerConfig: { taskSlots: 2 } }, { parallelism: 4, taskSlots: 2 }],
    [
      'size 0',
      { parallelism: 4, taskManagerConfig: { taskSlots: 2, replicas: 0 } },
      { parallelism: 4, taskSlots: 2, replicas: 0 },
    ],
    [
      'replicas that are no number',
      { parallelism: 4, taskManagerConfig: { taskSlots: 2, replicas: 'two' } },
      { parallelism: 4, taskSlots: 2 },
    ],
  ])('reads a spec with %s', (_, spec, size) => {
    expect(readFlinkApplication(aWireApplication({ spec }))?.size).toEqual(size);
  });

  it.each([
    ['no spec', null],
    ['no parallelism', { taskManagerConfig: { taskSlots: 2 } }],
    ['a parallelism that is no number', { parallelism: '4' }],
    ['half a parallelism', { parallelism: 1.5 }],
    ['a negative parallelism', { parallelism: -1 }],
    ['no slots in a TaskManager', { parallelism: 4, taskManagerConfig: { taskSlots: 0 } }],
    ['slots that are no number', { parallelism: 4, taskManagerConfig: { taskSlots: '2' } }],
  ])('has no size with %s', (_, spec) => {
    expect(readFlinkApplication(aWireApplication({ spec }))).not.toHaveProperty('size');
  });

  it.each([
    null,
    {},
    { phase: 7, selector: null, clusterStatus: { numberOfTaskManagers: '2' }, scaleBasis: { parallelism: 4 } },
  ])('has neither basis nor phase nor selector with status %j', (status) => {
    const application = readFlinkApplication(aWireApplication({ status }));

    expect(application).toMatchObject({ phase: '', selector: '', numberOfTaskManagers: 0 });
    expect(application).not.toHaveProperty('scaleBasis');
  });

  it('reads the conditions that it knows to be conditions, without their times', () => {
    const deployed = { type: 'Deployed', status: 'False', reason: 'TornDown', message: 'torn down' };
    const conditions = [
      { ...deployed, lastTransitionTime: '2026-03-01T12:00:00Z' },
      { type: 'Owned', status: 'False' },
    ];
    const broken = [null, 'Deployed', { type: 'Deployed' }, { ...deployed, status: 'Perhaps' }];

    const application = readFlinkApplication(aWireApplication({ status: { conditions: [...conditions, ...broken] } }));

    expect(application?.conditions).toEqual([deployed, { type: 'Owned', status: 'False', reason: '', message: '' }]);
  });

  it.each([undefined, null, 7, 'none', {}])('has no conditions where status.conditions is %j', (conditions) => {
    expect(readFlinkApplication(aWireApplication({ status: { conditions } }))?.conditions).toEqual([]);
  });

  it('tells that the spec has changed since it was looked at, and that the application is being deleted', () => {
    const metadata = { generation: 4, deletionTimestamp: '2026-03-01T12:00:00Z' };
    const application = readFlinkApplication(aWireApplication({ metadata, status: { observedGeneration: 3 } }));

    expect(application).toMatchObject({ generation: 4, observedGeneration: 3, isDeleting: true });
  });

  it.each([null, undefined, 'text', {}, { metadata: { namespace: 'flink', name: 'orders' } }])(
    'reads nothing from %j',
    (item) => {
      expect(readFlinkApplication(item)).toBeUndefined();
    },
  );
});
