// The API server's own account of who asked it what: the proof of which requests Headrace makes, and which it does not.
import { readFile } from 'node:fs/promises';
import type { ApiClient } from './api-client.ts';
import { eventually } from './eventually.ts';

const horizontalPodAutoscaler = 'system:serviceaccount:kube-system:horizontal-pod-autoscaler';
const writes = ['create', 'update', 'patch', 'delete', 'deletecollection'];

/** Where so much happens that the log of it would only slow down everybody who reads it. */
export const unauditedNamespace = 'differential';

/** Writes of everybody with their bodies; reads of Headrace and of the HPA controller without. */
export const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived'],
  rules: [
    { level: 'None', resources: [{ group: 'coordination.k8s.io' }] },
    { level: 'None', namespaces: [unauditedNamespace] },
    { level: 'Request', verbs: writes },
    { level: 'Metadata', userGroups: ['headrace'] },
    { level: 'Metadata', users: [horizontalPodAutoscaler] },
    { level: 'None' },
  ],
};

/** The part of an audit.k8s.io/v1 Event that tests look at. */
export interface AuditEvent {
  readonly auditID: string;
  /** Kubernetes' word: get, list, watch, create, update, patch, delete. */
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string; readonly groups?: readonly string[] };
  readonly userAgent?: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code: number; readonly reason?: string };
  /** The body, of writes only. */
  readonly requestObject?: unknown;
  /** RFC 3339 with microseconds. */
  readonly requestReceivedTimestamp: string;
  /** When the answer began or, of the last event of a request, ended; RFC 3339 with microseconds. */
  readonly stageTimestamp: string;
}

interface AuditLogSource {
  readonly file: string;
  readonly admin: ApiClient;
  /** Epoch ms. */
  readonly since: number;
}

/**
 * Reads the log so that every request answered before the call is in it. A line is written after its answer was sent, so a
 * request of our own is made first, and the log is read when that one has arrived.
 */
export async function readAuditLog({ file, admin, since }: AuditLogSource): Promise<readonly AuditEvent[]> {
  const marker = await admin.request('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  });
  const markerId = marker.headers['audit-id'];
  if (typeof markerId !== 'string') throw new Error(`asking for a mark in the audit log: ${marker.status}`);

  const content = await eventually('our mark in the audit log', async () => {
    const text = await readFile(file, 'utf8');
    return text.includes(markerId) ? text : undefined;
  });
  return content
    .slice(0, content.lastIndexOf('\n'))
    .split('\n')
    .map((line) => JSON.parse(line) as AuditEvent)
    .filter((event) => !isMark(event))
    .filter((event) => Date.parse(event.requestReceivedTimestamp) >= since);
}

function isMark({ objectRef, user }: AuditEvent): boolean {
  return objectRef?.resource === 'selfsubjectreviews' && user.username === 'admin';
}
