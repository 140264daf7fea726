import { describe, expect, it } from 'vitest';
import {
  hasHighAvailability,
  memoryModelOf,
  memorySize,
  readBytes,
  readBytesAsLyft,
  renderFlinkConfig,
  renderFlinkProperties,
} from '../../shared/deployment/flink-config.ts';
import type { DeployedSpec } from '../../shared/deployment/types.ts';

function aSpec(fields: Partial<DeployedSpec> = {}): DeployedSpec {
  return { image: 'orders:1', jarName: 'orders.jar', entryClass: 'com.example.Orders', parallelism: 4, ...fields };
}

function linesOf(spec: DeployedSpec): string[] {
  return (renderFlinkConfig(spec, readBytes) ?? '').trimEnd().split('\n');
}

const memory = (request: string) => ({ resources: { requests: { cpu: '1', memory: request } } });

describe('renderFlinkConfig', () => {
  // TestRenderFlinkConfigOverrides of the operator.
  it('renders what the user wrote, and above it what the operator sets', () => {
    const spec = aSpec({
      flinkConfig: {
        'akka.timeout': '5s',
        'taskmanager.network.memory.fraction': 0.1,
        'taskmanager.network.request-backoff.max': 5000,
        'jobmanager.rpc.address': 'wrong-address',
        'jobmanager.heap.size': '1g',
        'env.java.opts.jobmanager': '-agentlib:jdwp=address=39000 -XX:+UseG1GC',
        'web.submit.enable': true,
      },
      taskManagerConfig: { taskSlots: 4, offHeapMemoryFraction: 0.5 },
      jobManagerConfig: { offHeapMemoryFraction: 0.5 },
      blobPort: 1000,
    });

    expect(linesOf(spec)).toEqual([
      'akka.timeout: 5s',
      'blob.server.port: 1000',
      'env.java.opts.jobmanager: -agentlib:jdwp=address=39000 -XX:+UseG1GC',
      'jobmanager.heap.size: 1572864k',
      'jobmanager.rpc.port: 6123',
      'jobmanager.web.port: 8081',
      'metrics.internal.query-service.port: 50101',
      'query.server.port: 6124',
      'taskmanager.heap.size: 524288k',
      'taskmanager.network.memory.fraction: 0.1',
      'taskmanager.network.request-backoff.max: 5000',
      'taskmanager.numberOfTaskSlots: 4',
      'web.submit.enable: true',
    ]);
  });

  it('ends with a line feed, and orders keys by their bytes', () => {
    const text = renderFlinkConfig(aSpec({ flinkConfig: { '\u{1F600}': 1, '\uFFFD': 2, B: 3, a: 4 } }), readBytes);

    expect(text?.split('\n').map((line) => line.split(':')[0])).toEqual([
      'B',
      'a',
      'blob.server.port',
      'jobmanager.heap.size',
      'jobmanager.rpc.port',
      'jobmanager.web.port',
      'metrics.internal.query-service.port',
      'query.server.port',
      'taskmanager.heap.size',
      'taskmanager.numberOfTaskSlots',
      '\uFFFD',
      '\u{1F600}',
      '',
    ]);
  });

  // As Go's %v prints what a JSON number becomes.
  it.each`
    value        | text
    ${'text'}    | ${'text'}
    ${''}        | ${''}
    ${true}      | ${'true'}
    ${0.1}       | ${'0.1'}
    ${0.0001}    | ${'0.0001'}
    ${0.00001}   | ${'1e-05'}
    ${123456.5}  | ${'123456.5'}
    ${1234567.5} | ${'1.2345675e+06'}
    ${1000000}   | ${'1000000'}
    ${-5}        | ${'-5'}
    ${1e21}      | ${'1e+21'}
    ${2 ** 63}   | ${'9.223372036854776e+18'}
  `('renders $value as "$text"', ({ value, text }) => {
    expect(linesOf(aSpec({ flinkConfig: { 'a.key': value } }))[0]).toBe(`a.key: ${text}`);
  });

  it.each([null, {}, ['a']])('does not render %j', (value) => {
    expect(renderFlinkConfig(aSpec({ flinkConfig: { key: value } }), readBytes)).toBeUndefined();
  });

  it.each`
    flinkVersion | field                      | renders
    ${'1.10'}    | ${'offHeapMemoryFraction'} | ${true}
    ${'1.10'}    | ${'systemMemoryFraction'}  | ${false}
    ${'1.11'}    | ${'offHeapMemoryFraction'} | ${false}
    ${'1.11'}    | ${'systemMemoryFraction'}  | ${true}
  `('with $field of Flink $flinkVersion it renders: $renders', ({ flinkVersion, field, renders }) => {
    const spec = aSpec({ flinkVersion, taskManagerConfig: { [field]: 0.3 } });

    expect(renderFlinkConfig(spec, readBytes) !== undefined).toBe(renders);
  });
});

describe('memoryModelOf', () => {
  it.each`
    flinkVersion           | setting
    ${'1.11'}              | ${'memory.process.size'}
    ${'1.11.0'}            | ${'memory.process.size'}
    ${'1.20.3'}            | ${'memory.process.size'}
    ${'2.3.0'}             | ${'memory.process.size'}
    ${'2'}                 | ${'memory.process.size'}
    ${'v1.18'}             | ${'memory.process.size'}
    ${'1.16.2-scala'}      | ${'memory.process.size'}
    ${'1.10.1'}            | ${'heap.size'}
    ${'1.9'}               | ${'heap.size'}
    ${'1'}                 | ${'heap.size'}
    ${''}                  | ${'heap.size'}
    ${'1.11-SNAPSHOT'}     | ${'heap.size'}
    ${'1.16.2-scala_2.12'} | ${'heap.size'}
    ${'v1_18'}             | ${'heap.size'}
    ${'invalid_version'}   | ${'heap.size'}
  `('sets $setting for "$flinkVersion"', ({ flinkVersion, setting }) => {
    expect(memoryModelOf(aSpec({ flinkVersion })).setting).toBe(setting);
  });
});

describe('memorySize', () => {
  // The operator's unit tests: the request counts, not the limit.
  it.each`
    flinkVersion | request    | fraction     | expected
    ${''}        | ${'64Mi'}  | ${0.5}       | ${'32768k'}
    ${''}        | ${'64Mi'}  | ${0.37}      | ${'41287k'}
    ${'1.11'}    | ${'64Mi'}  | ${0.2}       | ${'52428k'}
    ${'1.11'}    | ${'512Mi'} | ${undefined} | ${'419430k'}
    ${'1.11'}    | ${'2Gi'}   | ${undefined} | ${'1677721k'}
    ${''}        | ${'2Gi'}   | ${undefined} | ${'1048576k'}
    ${''}        | ${'64Mi'}  | ${1.5}       | ${'32768k'}
    ${''}        | ${'1.5Gi'} | ${undefined} | ${'786432k'}
  `(
    'leaves $expected of $request less $fraction, Flink "$flinkVersion"',
    ({ flinkVersion, request, fraction, expected }) => {
      const field = flinkVersion === '' ? 'offHeapMemoryFraction' : 'systemMemoryFraction';
      const section = { ...memory(request), ...(fraction !== undefined && { [field]: fraction }) };

      expect(memorySize(aSpec({ flinkVersion, taskManagerConfig: section }), 'taskManager', readBytes)).toBe(expected);
    },
  );

  it.each`
    process          | expected
    ${'jobManager'}  | ${'1572864k'}
    ${'taskManager'} | ${'524288k'}
  `('has $expected for a $process without resources', ({ process, expected }) => {
    expect(memorySize(aSpec(), process, readBytes)).toBe(expected);
  });

  it('takes "1.5Gi" for nothing where the operator does', () => {
    expect(memorySize(aSpec({ jobManagerConfig: memory('1.5Gi') }), 'jobManager', readBytesAsLyft)).toBe('0k');
  });
});

describe('hasHighAvailability', () => {
  it.each`
    flinkConfig                                                               | expected
    ${{}}                                                                     | ${false}
    ${{ 'high-availability': 'zookeeper' }}                                   | ${true}
    ${{ 'high-availability': ' NONE ' }}                                      | ${false}
    ${{ 'high-availability': true }}                                          | ${true}
    ${{ 'high-availability.type': 'kubernetes' }}                             | ${true}
    ${{ 'high-availability.type': 'none' }}                                   | ${false}
    ${{ 'high-availability.type': 'NONE', 'high-availability': 'zookeeper' }} | ${false}
  `('is $expected with $flinkConfig', ({ flinkConfig, expected }) => {
    expect(hasHighAvailability(aSpec({ flinkConfig }))).toBe(expected);
  });
});

describe('renderFlinkProperties', () => {
  const place = {
    namespace: 'flink',
    service: 'orders-5e7c7283',
    clusterId: 'orders-5e7c7283-k3x9q2',
    isJobManager: true,
  };

  it.each`
    isJobManager | expected
    ${true}      | ${'a: 1\n\njobmanager.rpc.address: orders-5e7c7283\n'}
    ${false}     | ${'a: 1\n\njobmanager.rpc.address: orders-5e7c7283\ntaskmanager.host: $HOST_IP\n'}
  `(
    'says where the JobManager is, and a TaskManager where it is itself ($isJobManager)',
    ({ isJobManager, expected }) => {
      expect(renderFlinkProperties('a: 1\n', aSpec(), { ...place, isJobManager })).toBe(expected);
    },
  );

  // F19: Flink 1.17 and later name the key high-availability.type.
  it.each(['high-availability', 'high-availability.type'])(
    'F19: has each cluster hold an election of its own with %s',
    (key) => {
      const spec = aSpec({ flinkConfig: { [key]: 'kubernetes' } });

      const [jobManager, taskManager] = [true, false].map((isJobManager) =>
        renderFlinkProperties('', spec, { ...place, isJobManager })
          .trim()
          .split('\n'),
      );

      expect(jobManager).toEqual([
        'kubernetes.cluster-id: orders-5e7c7283-k3x9q2',
        'jobmanager.rpc.address: $HOST_IP',
        'high-availability.cluster-id: orders-5e7c7283-k3x9q2',
        'kubernetes.namespace: flink',
      ]);
      expect(taskManager).toEqual([
        'kubernetes.cluster-id: orders-5e7c7283-k3x9q2',
        'high-availability.cluster-id: orders-5e7c7283-k3x9q2',
        'kubernetes.namespace: flink',
        'taskmanager.host: $HOST_IP',
      ]);
    },
  );

  it.each`
    interval     | retained
    ${'10s'}     | ${13}
    ${'10 s'}    | ${13}
    ${10_000}    | ${13}
    ${'500 ms'}  | ${100}
    ${'1 min'}   | ${3}
    ${'2h'}      | ${2}
    ${undefined} | ${10}
    ${'soon'}    | ${10}
  `(
    'lets a job that begins again by itself keep $retained checkpoints, one every $interval',
    ({ interval, retained }) => {
      const flinkConfig = interval === undefined ? {} : { 'execution.checkpointing.interval': interval };
      const spec = aSpec({ restartPolicy: 'FromLatestCheckpoint', flinkConfig });

      expect(renderFlinkProperties('', spec, place)).toContain(`state.checkpoints.num-retained: ${retained}\n`);
      expect(renderFlinkProperties('', spec, { ...place, isJobManager: false })).not.toContain('num-retained');
    },
  );

  it.each<[string, Partial<DeployedSpec>]>([
    ['any other job', {}],
    ['a job that stays ended', { restartPolicy: 'Never' }],
    ...['state.checkpoints.num-retained', 'execution.checkpointing.num-retained'].map(
      (key): [string, Partial<DeployedSpec>] => [
        `a job whose user wrote ${key}`,
        { restartPolicy: 'FromLatestCheckpoint', flinkConfig: { [key]: 3 } },
      ],
    ),
  ])('leaves the number of checkpoints alone for %s', (_, fields) => {
    expect(renderFlinkProperties('', aSpec(fields), place)).not.toContain('num-retained');
  });

  it('leaves a namespace that the user wrote', () => {
    const spec = aSpec({ flinkConfig: { 'high-availability': 'kubernetes', 'kubernetes.namespace': 'other' } });

    expect(renderFlinkProperties('', spec, place)).not.toContain('kubernetes.namespace');
  });

  // F23: jobmanager.web.port alone is only a deprecated name of rest.bind-port.
  it.each`
    uiPort       | flinkConfig              | isJobManager | expected
    ${undefined} | ${{}}                    | ${true}      | ${[]}
    ${9000}      | ${{}}                    | ${true}      | ${['rest.port: 9000']}
    ${9000}      | ${{}}                    | ${false}     | ${[]}
    ${9000}      | ${{ 'rest.port': 1234 }} | ${true}      | ${['rest.port: 9000']}
    ${undefined} | ${{ 'rest.port': 1234 }} | ${true}      | ${['rest.port: 8081']}
  `(
    'F23: with uiPort $uiPort and $flinkConfig a JobManager ($isJobManager) gets $expected',
    ({ uiPort, flinkConfig, isJobManager, expected }) => {
      const spec = aSpec({ flinkConfig, ...(uiPort && { uiPort }) });

      const properties = renderFlinkProperties(renderFlinkConfig(spec, readBytes) ?? '', spec, {
        ...place,
        isJobManager,
      });

      const added = properties.slice(properties.indexOf('\n\n'));
      expect(added.split('\n').filter((line) => line.startsWith('rest.port'))).toEqual(expected);
    },
  );

  it('says no key twice: the strict parser of config.yaml would not start', () => {
    const spec = aSpec({
      uiPort: 9000,
      flinkConfig: {
        'high-availability.type': 'zookeeper',
        'high-availability.cluster-id': '/mine',
        'kubernetes.cluster-id': 'mine',
        'rest.port': 1,
      },
    });

    const text = renderFlinkProperties(renderFlinkConfig(spec, readBytes) ?? '', spec, place);

    const keys = text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => line.split(': ')[0]);
    expect(keys).toHaveLength(new Set(keys).size);
    expect(text).toContain('high-availability.cluster-id: orders-5e7c7283-k3x9q2\n');
  });
});
