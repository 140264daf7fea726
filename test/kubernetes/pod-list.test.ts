import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodePodList, encodeStatus } from '../../infra/sandbox/protobuf.ts';
import { readPodList } from '../../shared/kubernetes/pod-list.ts';
import { readPod } from '../../shared/kubernetes/pods.ts';
import { openEnvelope, readStatus } from '../../shared/kubernetes/protobuf.ts';

const word = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const labels = fc.dictionary(word, fc.string({ maxLength: 30 }), { maxKeys: 6 });
const instant = fc
  .integer({ min: Date.parse('0001-01-01T00:00:00Z'), max: Date.parse('2100-01-01T00:00:00Z') })
  .map((time) => new Date(time).toISOString());
const quantities = fc.dictionary(word, fc.constantFrom('250m', '1', '1Gi', '123456789n', '0.5', 'no quantity'), {
  maxKeys: 3,
});
const resources = fc.record({ requests: quantities, limits: quantities }, { requiredKeys: [] });
const container = fc.record(
  { name: word, image: word, resources, restartPolicy: fc.constantFrom('Always', 'OnFailure') },
  { requiredKeys: ['name'] },
);
const condition = fc.record({
  type: fc.constantFrom('Ready', 'PodScheduled', 'Initialized'),
  status: fc.constantFrom('True', 'False', 'Unknown'),
  lastTransitionTime: instant,
});

const aPod = fc.record({
  metadata: fc.record(
    {
      name: word,
      namespace: word,
      labels,
      annotations: labels,
      deletionTimestamp: instant,
      creationTimestamp: instant,
    },
    { requiredKeys: ['name', 'namespace'] },
  ),
  spec: fc.record(
    {
      containers: fc.array(container, { maxLength: 3 }),
      initContainers: fc.array(container, { maxLength: 2 }),
      overhead: fc.dictionary(fc.constantFrom('cpu', 'memory'), fc.constantFrom('250m', '1Mi'), { maxKeys: 2 }),
      resources: fc.record({
        requests: fc.dictionary(fc.constantFrom('cpu', 'memory', 'other'), fc.constantFrom('250m', '1'), {
          maxKeys: 2,
        }),
      }),
    },
    { requiredKeys: ['containers'] },
  ),
  status: fc.record(
    {
      phase: fc.constantFrom('Pending', 'Running', 'Failed', 'Succeeded'),
      startTime: instant,
      podIP: word,
      conditions: fc.uniqueArray(condition, { selector: ({ type }) => type, maxLength: 3 }),
    },
    { requiredKeys: ['phase'] },
  ),
});

describe('readPodList', () => {
  it('reads of every pod what the JSON reader reads', () => {
    fc.assert(
      fc.property(fc.array(aPod, { maxLength: 5 }), (pods) => {
        const { items } = readPodList(encodePodList({ resourceVersion: '7' }, pods as never));

        expect(items).toEqual(pods.map(readPod));
      }),
      { numRuns: 300 },
    );
  });

  it('goes on where the page says so', () => {
    expect(readPodList(encodePodList({ resourceVersion: '7', continue: 'more' }, [])).continueToken).toBe('more');
    expect(readPodList(encodePodList({ resourceVersion: '7' }, [])).continueToken).toBeUndefined();
  });

  it('throws a ProtobufError for every answer that is cut off, and never reads past its end', () => {
    const pod = { metadata: { name: 'a', namespace: 'b', labels: { c: 'd' } }, spec: { containers: [{ name: 'e' }] } };
    const whole = encodePodList({ resourceVersion: '7' }, [pod] as never);
    const object = openEnvelope(whole);

    for (let end = 0; end < object.end; end += 1)
      expect(() => readPodList(whole.subarray(0, end))).toThrow(expect.objectContaining({ name: 'ProtobufError' }));
  });

  it('only ever throws a ProtobufError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readPodList(Buffer.concat([Buffer.from('k8s\0'), bytes]));
        } catch (error) {
          expect((error as Error).name).toBe('ProtobufError');
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('readStatus', () => {
  it('reads why a request was refused', () => {
    const status = encodeStatus({ status: 'Failure', message: 'pods is forbidden', reason: 'Forbidden', code: 403 });

    expect(readStatus(status)).toEqual({ message: 'pods is forbidden', reason: 'Forbidden' });
  });
});
