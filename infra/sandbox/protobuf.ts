// Kubernetes' protobuf, written: lists of pods and Status objects, as an API server answers who asks for
// application/vnd.kubernetes.protobuf. Field numbers: k8s.io/api/core/v1 and k8s.io/apimachinery, generated.proto.

import type { KubernetesObject } from './kinds.ts';

export const protobufType = 'application/vnd.kubernetes.protobuf';

type Encoder = (value: unknown) => Buffer;

/** The fields of a message that are written: JSON name → number and how. */
type Schema = Readonly<Record<string, readonly [number: number, encode: Encoder, repeated?: 'repeated']>>;

const magic = Buffer.from('k8s\0', 'latin1');

const text: Encoder = (value) => Buffer.from(String(value));
const message =
  (schema: Schema): Encoder =>
  (value) =>
    encodeMessage(schema, value as Record<string, unknown>);
const time = (value: unknown) => {
  const milliseconds = Date.parse(String(value));
  const nanos = (((milliseconds % 1000) + 1000) % 1000) * 1_000_000;
  return Buffer.concat([number(1, Math.floor(milliseconds / 1000)), ...(nanos === 0 ? [] : [number(2, nanos)])]);
};
const quantity: Encoder = (value) => span(1, text(value));
const map =
  (encode: Encoder): Encoder =>
  (entry) => {
    const [key, value] = entry as [string, unknown];
    return Buffer.concat([span(1, text(key)), span(2, encode(value))]);
  };
const rawJson: Encoder = (value) => span(1, text(JSON.stringify(value)));

const managedFields: Schema = {
  manager: [1, text],
  operation: [2, text],
  apiVersion: [3, text],
  time: [4, time],
  fieldsType: [6, text],
  fieldsV1: [7, rawJson],
  subresource: [8, text],
};

const objectMeta: Schema = {
  name: [1, text],
  namespace: [3, text],
  uid: [5, text],
  resourceVersion: [6, text],
  creationTimestamp: [8, time],
  deletionTimestamp: [9, time],
  labels: [11, map(text), 'repeated'],
  annotations: [12, map(text), 'repeated'],
  managedFields: [17, message(managedFields), 'repeated'],
};

const resources: Schema = { limits: [1, map(quantity), 'repeated'], requests: [2, map(quantity), 'repeated'] };

const container: Schema = {
  name: [1, text],
  image: [2, text],
  args: [4, text, 'repeated'],
  env: [7, message({ name: [1, text], value: [2, text] }), 'repeated'],
  resources: [8, message(resources)],
  restartPolicy: [24, text],
};

const pod: Schema = {
  metadata: [1, message(objectMeta)],
  spec: [
    2,
    message({
      containers: [2, message(container), 'repeated'],
      initContainers: [20, message(container), 'repeated'],
      overhead: [32, map(quantity), 'repeated'],
      resources: [40, message(resources)],
    }),
  ],
  status: [
    3,
    message({
      phase: [1, text],
      conditions: [2, message({ type: [1, text], status: [2, text], lastTransitionTime: [4, time] }), 'repeated'],
      podIP: [6, text],
      startTime: [7, time],
    }),
  ],
};

const listMeta: Schema = { resourceVersion: [2, text], continue: [3, text] };

/** A page of a PodList. */
export function encodePodList(metadata: object, pods: readonly KubernetesObject[]): Buffer {
  const list: Schema = { metadata: [1, message(listMeta)], items: [2, message(pod), 'repeated'] };
  return envelope('PodList', encodeMessage(list, { metadata, items: pods }));
}

/** A refusal, from the Status object in JSON. */
export function encodeStatus(status: Record<string, unknown>): Buffer {
  const fields = encodeMessage({ status: [2, text], message: [3, text], reason: [4, text] }, status);
  return envelope('Status', Buffer.concat([fields, number(6, Number(status.code))]));
}

function envelope(kind: string, object: Buffer): Buffer {
  const typeMeta = Buffer.concat([span(1, text('v1')), span(2, text(kind))]);
  return Buffer.concat([magic, span(1, typeMeta), span(2, object), span(3, text('')), span(4, text(''))]);
}

function encodeMessage(schema: Schema, value: Record<string, unknown>): Buffer {
  const fields: Buffer[] = [];
  for (const [name, [field, encode, repeated]] of Object.entries(schema)) {
    const content = value[name];
    if (content === undefined || content === null) continue;
    const items = repeated === undefined ? [content] : Array.isArray(content) ? content : Object.entries(content);
    for (const item of items) fields.push(span(field, encode(item)));
  }
  return Buffer.concat(fields);
}

/** A length-delimited field. */
function span(field: number, content: Buffer): Buffer {
  return Buffer.concat([varint(BigInt(field * 8 + 2)), varint(BigInt(content.length)), content]);
}

/** A number; negative ones are 64 bits of two's complement. */
function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(BigInt(field * 8)), varint(BigInt.asUintN(64, BigInt(value)))]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
