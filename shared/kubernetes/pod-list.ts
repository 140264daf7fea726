// A page of v1 PodList in protobuf: what the decision needs of each pod, and nothing else. test/kubernetes/pod-list.test.ts
// holds it against the JSON reader; the contract suite does so on a real API server.

import type { ContainerRequests } from '../scaling/types.ts';
import type { Milli } from '../units.ts';
import { podLevelRequests, type Requests } from './pod-requests.ts';
import type { NamespacedPod } from './pods.ts';
import { type Message, openEnvelope, readContinueToken, readEntry, readText, readTime, walk } from './protobuf.ts';
import { parseQuantityOnce } from './quantities.ts';

/** Reads one page. @throws ProtobufError */
export function readPodList(body: Buffer): { items: NamespacedPod[]; continueToken: string | undefined } {
  const list = openEnvelope(body);
  const items: NamespacedPod[] = [];
  let continueToken: string | undefined;
  walk(list, (field, start, end) => {
    if (field === 1) continueToken = readContinueToken(list, start, end);
    if (field === 2) items.push(readPod({ ...list, start, end }));
  });
  return { items, continueToken };
}

// Pod { metadata = 1, spec = 2, status = 3 }
function readPod(pod: Message): NamespacedPod {
  let metadata: Metadata = { namespace: '', name: '', labels: {}, isDeleting: false };
  let spec: Spec = { containers: [] };
  let status: Status = { phase: 'Unknown' };
  walk(pod, (field, start, end) => {
    const part = { bytes: pod.bytes, start, end };
    if (field === 1) metadata = readMetadata(part);
    if (field === 2) spec = readSpec(part);
    if (field === 3) status = readPodStatus(part);
  });
  return { ...metadata, ...spec, ...status };
}

type Metadata = Pick<NamespacedPod, 'namespace' | 'name' | 'labels' | 'isDeleting'>;

// ObjectMeta { name = 1, namespace = 3, deletionTimestamp = 9, labels = 11 }
function readMetadata(message: Message): Metadata {
  let name = '';
  let namespace = '';
  let isDeleting = false;
  const labels: Record<string, string> = {};
  walk(message, (field, start, end) => {
    if (field === 1) name = readText(message, start, end);
    if (field === 3) namespace = readText(message, start, end);
    if (field === 9) isDeleting = true;
    if (field === 11) {
      const { key, valueStart, valueEnd } = readEntry(message, start, end);
      labels[key] = readText(message, valueStart, valueEnd);
    }
  });
  return { name, namespace, isDeleting, labels };
}

type Spec = Pick<NamespacedPod, 'containers' | 'requestsMilli'>;

// PodSpec { containers = 2, initContainers = 20, overhead = 32, resources = 40 }
function readSpec(message: Message): Spec {
  const ordinary: ContainerRequests[] = [];
  const initContainers: { container: ContainerRequests; isSidecar: boolean }[] = [];
  const overhead: Record<string, Milli> = {};
  let requests: Requests | undefined;
  walk(message, (field, start, end) => {
    const part = { bytes: message.bytes, start, end };
    if (field === 2) ordinary.push(readContainer(part).container);
    if (field === 20) {
      const { container, restartPolicy } = readContainer(part);
      initContainers.push({ container, isSidecar: restartPolicy === 'Always' });
    }
    if (field === 32) readQuantityEntry(part, overhead);
    if (field === 40) requests = readRequests(part);
  });
  const requestsMilli = podLevelRequests({
    ...(requests && { requests }),
    overhead,
    containers: ordinary.map((container) => container.requestsMilli),
    initContainers: initContainers.map(({ container, isSidecar }) => ({
      requests: container.requestsMilli,
      isSidecar,
    })),
  });
  const sidecars = initContainers.filter(({ isSidecar }) => isSidecar).map(({ container }) => container);
  return { containers: [...ordinary, ...sidecars], ...(requestsMilli && { requestsMilli }) };
}

// Container { name = 1, resources = 8, restartPolicy = 24 }
function readContainer(message: Message): { container: ContainerRequests; restartPolicy: string } {
  let name = '';
  let restartPolicy = '';
  let requestsMilli: Record<string, Milli> = {};
  walk(message, (field, start, end) => {
    if (field === 1) name = readText(message, start, end);
    if (field === 8) requestsMilli = readRequests({ bytes: message.bytes, start, end }) ?? {};
    if (field === 24) restartPolicy = readText(message, start, end);
  });
  return { container: { name, requestsMilli }, restartPolicy };
}

// ResourceRequirements { requests = 2: map of quantities }
function readRequests(message: Message): Record<string, Milli> | undefined {
  let requests: Record<string, Milli> | undefined;
  walk(message, (field, start, end) => {
    if (field !== 2) return;
    requests ??= {};
    readQuantityEntry({ bytes: message.bytes, start, end }, requests);
  });
  return requests;
}

// A map entry whose value is Quantity { string = 1 }
function readQuantityEntry(message: Message, into: Record<string, Milli>): void {
  const { key, valueStart, valueEnd } = readEntry(message, message.start, message.end);
  const milli = parseQuantityOnce(readQuantity({ bytes: message.bytes, start: valueStart, end: valueEnd }));
  if (milli !== undefined) into[key] = milli;
}

function readQuantity(message: Message): string {
  let text = '';
  walk(message, (field, start, end) => {
    if (field === 1) text = readText(message, start, end);
  });
  return text;
}

type Status = Pick<NamespacedPod, 'phase' | 'startTime' | 'ready'>;

// PodStatus { phase = 1, conditions = 2, startTime = 7 }
function readPodStatus(message: Message): Status {
  let phase = 'Unknown';
  let startTime: number | undefined;
  let ready: Status['ready'];
  walk(message, (field, start, end) => {
    if (field === 1) phase = readText(message, start, end);
    if (field === 2) ready ??= readReadyCondition({ bytes: message.bytes, start, end });
    if (field === 7) startTime = readTime(message, start, end);
  });
  return { phase, ...(startTime !== undefined && { startTime }), ...(ready && { ready }) };
}

// PodCondition { type = 1, status = 2, lastTransitionTime = 4 }
function readReadyCondition(message: Message): Status['ready'] {
  let type = '';
  let status = 'Unknown';
  let lastTransitionTime = 0;
  walk(message, (field, start, end) => {
    if (field === 1) type = readText(message, start, end);
    if (field === 2) status = readText(message, start, end);
    if (field === 4) lastTransitionTime = readTime(message, start, end);
  });
  return type === 'Ready' ? { status, lastTransitionTime } : undefined;
}
