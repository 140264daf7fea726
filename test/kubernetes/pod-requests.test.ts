import { describe, expect, it } from 'vitest';
import { podLevelRequests } from '../../shared/kubernetes/pod-requests.ts';

// Worked out by hand from KEP-2837 and KEP-753; npm run test:parity compares it with the scheduler's own code.
describe('podLevelRequests', () => {
  const containers = [{ cpu: 1000n, memory: 4n }, { cpu: 500n }];

  it('is nothing where the pod asks for nothing as a whole', () => {
    expect(podLevelRequests({ containers, initContainers: [] })).toBeUndefined();
    expect(podLevelRequests({ requests: {}, containers, initContainers: [] })).toBeUndefined();
  });

  it('is nothing where the pod names only what cannot be asked for as a whole', () => {
    expect(podLevelRequests({ requests: { 'nvidia.com/gpu': 1000n }, containers, initContainers: [] })).toBeUndefined();
  });

  it('takes what the pod names, and the sum of the containers for the rest', () => {
    const requests = podLevelRequests({ requests: { cpu: 4000n }, containers, initContainers: [] });

    expect(requests).toEqual({ cpu: 4000n, memory: 4n });
  });

  it('adds sidecars, and needs no less than an init container beside the sidecars that run by then', () => {
    const initContainers = [
      { requests: { memory: 3n }, isSidecar: true },
      { requests: { memory: 9n }, isSidecar: false },
      { requests: { memory: 5n }, isSidecar: true },
    ];

    // containers 4 + sidecars 3 + 5 = 12; at its start 3 + 9 = 12, and with memory 10 in the second init container 13.
    expect(podLevelRequests({ requests: { cpu: 1n }, containers, initContainers })).toEqual({ cpu: 1n, memory: 12n });
    const larger = initContainers.with(1, { requests: { memory: 10n }, isSidecar: false });
    expect(podLevelRequests({ requests: { cpu: 1n }, containers, initContainers: larger })).toEqual({
      cpu: 1n,
      memory: 13n,
    });
  });

  it('adds the overhead of the runtime to all of it', () => {
    const overhead = { cpu: 250n, memory: 1n };

    expect(podLevelRequests({ requests: { cpu: 4000n }, overhead, containers, initContainers: [] })).toEqual({
      cpu: 4250n,
      memory: 5n,
    });
  });

  it.each(['cpu', 'memory', 'hugepages-2Mi'])('knows %s as a resource of the pod', (resource) => {
    expect(podLevelRequests({ requests: { [resource]: 7n }, containers: [], initContainers: [] })).toEqual({
      [resource]: 7n,
    });
  });
});
