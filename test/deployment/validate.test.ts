import { describe, expect, it } from 'vitest';
import type { ApplicationSpec } from '../../shared/deployment/types.ts';
import { validate } from '../../shared/deployment/validate.ts';

function aSpec(changes: object = {}): ApplicationSpec {
  const job = { jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 3 };
  return { image: 'orders:1', flinkVersion: '1.20', ...job, ...changes };
}

const requests = (memory: unknown) => ({ taskManagerConfig: { resources: { requests: { memory } } } });

const sidecars = (...containers: readonly object[]) => ({ taskManagerConfig: { sidecars: containers } });

describe('validate', () => {
  it.each<[string, object]>([
    ['nothing but what must be there', {}],
    [
      'both words of every kind',
      {
        deploymentMode: 'BlueGreen',
        deleteMode: 'ForceCancel',
        scaleMode: 'InPlace',
        restartPolicy: 'FromLatestCheckpoint',
      },
    ],
    ['empty words', { deploymentMode: '', deleteMode: '', scaleMode: '', imagePullPolicy: '' }],
    ['a size of its own', { taskManagerConfig: { replicas: 4, taskSlots: 2 } }],
    [
      'fractions at their bounds',
      { jobManagerConfig: { systemMemoryFraction: 0 }, taskManagerConfig: { systemMemoryFraction: 0.999 } },
    ],
    ['memory with a fraction', requests('1.5Gi')],
    ['an older Flink', { flinkVersion: '1.8', jobManagerConfig: { offHeapMemoryFraction: 0.3 } }],
    [
      'several JobManagers that elect a leader',
      { jobManagerConfig: { replicas: 3 }, flinkConfig: { 'high-availability.type': 'kubernetes' } },
    ],
    ['values of every kind', { flinkConfig: { a: 'x', b: 1, c: true, d: 0.5 } }],
    ['timeouts', { timeouts: { clusterStartSeconds: 1, savepointSeconds: 3600 }, maxCheckpointRestoreAgeSeconds: 1 }],
    ['ports', { rpcPort: 1, blobPort: 65535, uiPort: 9000 }],
    ['keys and domains that are excluded', { excludedMetadata: ['build', 'example.com/run', 'ci.example.com/*'] }],
    [
      'containers beside Flink, with volumes of the spec',
      {
        volumes: [{ name: 'jars' }],
        jobManagerConfig: {
          initContainers: [{ name: 'fetch', image: 'tools:1', volumeMounts: [{ name: 'jars', mountPath: '/jars' }] }],
          sidecars: [{ name: 'taskmanager', image: 'proxy:1', ports: [{ containerPort: 15000 }] }],
        },
        taskManagerConfig: { initContainers: [{ name: 'fetch', image: 'tools:1', ports: [{ containerPort: 8081 }] }] },
      },
    ],
    ['a list of arguments', { programArgs: '', programArgsList: ['--name', '', '"quoted"'] }],
    ['an empty list beside arguments in a string', { programArgs: '--a', programArgsList: [] }],
  ])('finds no fault in %s', (_, changes) => {
    expect(validate('orders', aSpec(changes))).toEqual([]);
  });

  it.each<[string, object]>([
    ['spec.parallelism is 0: it must be a whole number from 1 to 2147483647.', { parallelism: 0 }],
    [
      'spec.excludedMetadata[1] is "ci.*": it must be the key of a label or an annotation, or "domain/*" for all keys of a domain.',
      { excludedMetadata: ['build', 'ci.*'] },
    ],
    ['spec.parallelism is 1.5: it must be a whole number from 1 to 2147483647.', { parallelism: 1.5 }],
    ['spec.parallelism is missing: it must be a whole number from 1 to 2147483647.', { parallelism: undefined }],
    ['spec.parallelism is "4": it must be a whole number from 1 to 2147483647.', { parallelism: '4' }],
    [
      'spec.taskManagerConfig.taskSlots is 0: it must be a whole number from 1 to 2147483647.',
      { taskManagerConfig: { taskSlots: 0 } },
    ],
    [
      'spec.taskManagerConfig.replicas is -1: it must be a whole number from 1 to 2147483647.',
      { taskManagerConfig: { replicas: -1 } },
    ],
    [
      'spec.taskManagerConfig.replicas is 0: it must be a whole number from 1 to 2147483647.',
      { taskManagerConfig: { replicas: 0 } },
    ],
    [
      'spec.jobManagerConfig.replicas is 0: it must be a whole number from 1 to 2147483647.',
      { jobManagerConfig: { replicas: 0 } },
    ],
    ['spec.deploymentMode is "Single": it must be one of Dual, BlueGreen.', { deploymentMode: 'Single' }],
    ['spec.deleteMode is "Stop": it must be one of Savepoint, None, ForceCancel.', { deleteMode: 'Stop' }],
    ['spec.scaleMode is "inplace": it must be one of NewCluster, InPlace.', { scaleMode: 'inplace' }],
    ['spec.restartPolicy is "Always": it must be one of Never, FromLatestCheckpoint.', { restartPolicy: 'Always' }],
    [
      'spec.imagePullPolicy is "Sometimes": it must be one of Always, IfNotPresent, Never.',
      { imagePullPolicy: 'Sometimes' },
    ],
    [
      'spec.timeouts.submitSeconds is 0: it must be a whole number from 1 to 2147483647.',
      { timeouts: { submitSeconds: 0 } },
    ],
    [
      'spec.maxCheckpointRestoreAgeSeconds is 0: it must be a whole number from 1 to 2147483647.',
      { maxCheckpointRestoreAgeSeconds: 0 },
    ],
    [
      'spec.suspend is true and spec.deploymentMode BlueGreen: only an application with deploymentMode Dual can be suspended.',
      { suspend: true, deploymentMode: 'BlueGreen' },
    ],
    [
      'spec.taskManagerConfig.sidecars[0].name is "taskmanager": another container of the pod has that name, and each must have its own.',
      sidecars({ name: 'taskmanager', image: 'a' }),
    ],
    [
      'spec.taskManagerConfig.sidecars[1].name is "a": another container of the pod has that name, and each must have its own.',
      sidecars({ name: 'a', image: 'a' }, { name: 'a', image: 'b' }),
    ],
    [
      'spec.jobManagerConfig.sidecars[0].name is "a": another container of the pod has that name, and each must have its own.',
      {
        jobManagerConfig: { initContainers: [{ name: 'a', image: 'a' }], sidecars: [{ name: 'a', image: 'a' }] },
      },
    ],
    [
      'spec.taskManagerConfig.sidecars[0].name is "My_Proxy": it must have 1 to 63 characters, only a-z, 0-9 and "-", and neither begin nor end with "-".',
      sidecars({ name: 'My_Proxy', image: 'a' }),
    ],
    [
      'spec.taskManagerConfig.sidecars[0].image is empty: it must name the image of the container.',
      sidecars({ name: 'a', image: '' }),
    ],
    [
      'spec.taskManagerConfig.sidecars[0].volumeMounts[0].name is "jar": it must be the name of one of spec.volumes.',
      { ...sidecars({ name: 'a', image: 'a', volumeMounts: [{ name: 'jar' }] }), volumes: [{ name: 'jars' }] },
    ],
    [
      'spec.taskManagerConfig.sidecars[0].ports[1].containerPort is 8081, as is spec.uiPort, defaults included: the containers of a pod share its ports, so it must be another.',
      sidecars({ name: 'a', image: 'a', ports: [{ containerPort: 80 }, { containerPort: 8081 }] }),
    ],
    [
      'spec.periodicSavepoints.intervalSeconds is 59: it must be a whole number from 60 to 2147483647.',
      { periodicSavepoints: { intervalSeconds: 59 } },
    ],
    [
      'spec.rollbackWindowSeconds is 59: it must be a whole number from 60 to 2147483647.',
      { rollbackWindowSeconds: 59 },
    ],
    ['spec.savepointHistory is empty: it must have maxCount, maxAgeSeconds or both.', { savepointHistory: {} }],
    [
      'spec.savepointHistory.maxCount is 0: it must be a whole number from 1 to 50.',
      { savepointHistory: { maxCount: 0 } },
    ],
    [
      'spec.savepointHistory.maxAgeSeconds is 0: it must be a whole number from 1 to 2147483647.',
      { savepointHistory: { maxAgeSeconds: 0 } },
    ],
    ['spec.image is empty: it must name the image of the pods.', { image: '' }],
    [
      'spec.programArgs and spec.programArgsList are both given: one of them must be left out.',
      { programArgs: '--a', programArgsList: ['--a'] },
    ],
    ["spec.jarName is empty: it must name a jar in the image's upload directory.", { jarName: '' }],
    ['spec.jarName is "../orders.jar": it must be the name of a file, without a path.', { jarName: '../orders.jar' }],
    ['spec.entryClass is empty: it must name the class with the main method.', { entryClass: undefined }],
    ['spec.rpcPort is 0: it must be a whole number from 1 to 65535.', { rpcPort: 0 }],
    ['spec.uiPort is 65536: it must be a whole number from 1 to 65535.', { uiPort: 65536 }],
    ['spec.rpcPort and spec.uiPort are both 8081, defaults included: every port must be another.', { rpcPort: 8081 }],
    [
      'spec.flinkConfig["a"] is null: it must be a text, true, false or a number below 2^53.',
      { flinkConfig: { a: null } },
    ],
    [
      'spec.flinkConfig["a"] is {"b":1}: it must be a text, true, false or a number below 2^53.',
      { flinkConfig: { a: { b: 1 } } },
    ],
    [
      'spec.flinkConfig["a"] is 9007199254740992: it must be a text, true, false or a number below 2^53.',
      { flinkConfig: { a: 2 ** 53 } },
    ],
    [
      "spec.taskManagerConfig.resources.requests.memory is missing: resources that are given replace the default ones, and Flink's memory is worked out from it.",
      { taskManagerConfig: { resources: { limits: { memory: '1Gi' } } } },
    ],
    [
      'spec.taskManagerConfig.resources.requests.memory is "1 Gi": it must be a quantity such as 500m, 2 or 1536Mi.',
      requests('1 Gi'),
    ],
    [
      'spec.taskManagerConfig.resources.requests.memory is "-1Gi": it must be a quantity such as 500m, 2 or 1536Mi.',
      requests('-1Gi'),
    ],
    [
      'spec.taskManagerConfig.resources.requests.memory is "1500m": it must be whole bytes, and more than 0.',
      requests('1500m'),
    ],
    [
      'spec.taskManagerConfig.resources.requests.memory is "0": it must be whole bytes, and more than 0.',
      requests('0'),
    ],
    [
      'spec.taskManagerConfig leaves no memory to Flink: its memory request, less systemMemoryFraction, must be 1Ki at least.',
      requests('1k'),
    ],
    [
      'spec.jobManagerConfig leaves no memory to Flink: its memory request, less systemMemoryFraction, must be 1Ki at least.',
      { jobManagerConfig: { systemMemoryFraction: 1 } },
    ],
    [
      'spec.jobManagerConfig.resources.requests.cpu is "2": it must not be above the limit, "500m".',
      { jobManagerConfig: { resources: { requests: { memory: '1Gi', cpu: '2' }, limits: { cpu: '500m' } } } },
    ],
    [
      'spec.jobManagerConfig.resources.limits.cpu is "x": it must be a quantity such as 500m, 2 or 1536Mi.',
      { jobManagerConfig: { resources: { requests: { memory: '1Gi' }, limits: { cpu: 'x' } } } },
    ],
    [
      'spec.jobManagerConfig.systemMemoryFraction is 1.5: it must be a number from 0 to 1.',
      { jobManagerConfig: { systemMemoryFraction: 1.5 } },
    ],
    [
      'spec.jobManagerConfig.offHeapMemoryFraction is for Flink before 1.11, and spec.flinkVersion is "1.20": it must be left out, or systemMemoryFraction be used.',
      { jobManagerConfig: { offHeapMemoryFraction: 0.5 } },
    ],
    [
      'spec.taskManagerConfig.systemMemoryFraction is for Flink from 1.11 on, and spec.flinkVersion is missing: it must be left out, or offHeapMemoryFraction be used.',
      { flinkVersion: undefined, taskManagerConfig: { systemMemoryFraction: 0.5 } },
    ],
  ])('says: %s', (expected, changes) => {
    expect(validate('orders', aSpec(changes))).toEqual([expected]);
  });

  it.each`
    name              | expected
    ${'a'.repeat(54)} | ${[]}
    ${'a'.repeat(55)} | ${[expect.stringContaining('metadata.name has 55 characters')]}
    ${'Orders'}       | ${[expect.stringContaining('metadata.name is "Orders"')]}
    ${'orders.v1'}    | ${[expect.stringContaining('metadata.name is "orders.v1"')]}
    ${'1-orders'}     | ${[expect.stringContaining('begin with a letter')]}
    ${'orders-'}      | ${[expect.stringContaining('not end with "-"')]}
  `('says of the name $name: $expected', ({ name, expected }) => {
    expect(validate(name, aSpec())).toEqual(expected);
  });

  it('F19: wants several JobManagers to elect a leader', () => {
    const spec = aSpec({ jobManagerConfig: { replicas: 2 }, flinkConfig: { 'high-availability.type': 'NONE' } });

    expect(validate('orders', spec)).toEqual([
      'spec.jobManagerConfig.replicas is 2: more than one JobManager needs high-availability.type in spec.flinkConfig, or they do not know of each other.',
    ]);
  });

  // F20: nothing is deployed without its configuration.
  it('F20: says all faults at once', () => {
    const spec = aSpec({
      parallelism: 0,
      jarName: '',
      taskManagerConfig: { taskSlots: 0, resources: {} },
      deleteMode: 'x',
    });

    expect(validate('Orders', spec)).toHaveLength(6);
  });
});
