// FlinkApplication, flink.k8s.io/v1beta1, whole: what a deployment reads and writes of one. flink-application.ts is the lean
// reader beside it, for the lists of a tick.

import * as z from 'zod';
import type {
  Application,
  ApplicationSpec as ApplicationFields,
  ApplicationStatus as ApplicationStatusFields,
  Condition,
  Reading,
  StatusWriter,
} from '../deployment/types.ts';
import { parseAnswer } from './answers.ts';
import { ApplicationSpec } from './application-spec.ts';
import { ApplicationStatus } from './application-status.ts';
import { FIELD_MANAGER, jsonPages, type KubernetesClient } from './client.ts';
import { isNotFound } from './errors.ts';
import { listAll, type Namespaces } from './lists.ts';
import { mergePatch } from './merge-patch.ts';
import { FLINK_APPLICATIONS, type ObjectAddress, objectPath } from './paths.ts';
import { findUnknownFields } from './unknown-fields.ts';

const Metadata = z.object({
  namespace: z.string(),
  name: z.string(),
  uid: z.string(),
  resourceVersion: z.string(),
  generation: z.int().default(0),
  deletionTimestamp: z.string().exactOptional(),
  finalizers: z.array(z.string()).default([]),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  managedFields: z
    .array(
      z.object({
        manager: z.string().default(''),
        time: z.string().exactOptional(),
        fieldsV1: z.looseObject({}).default({}),
      }),
    )
    .default([]),
});

const WireApplication = z.object({ metadata: Metadata, spec: z.unknown(), status: ApplicationStatus.prefault({}) });

const FoundApplication = WireApplication.transform(toApplication);

/** Reads one FlinkApplication whole. @returns undefined for what has no name, uid or version */
export function readApplication(item: unknown): Application | undefined {
  return FoundApplication.safeParse(item).data;
}

/** @returns undefined when there is none */
export async function getApplication(
  client: KubernetesClient,
  address: ObjectAddress,
): Promise<Application | undefined> {
  const path = objectPath(FLINK_APPLICATIONS, address);
  try {
    return parseAnswer(FoundApplication, await client.get(path), path);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Lists the FlinkApplications of a shard. One whose spec cannot be read comes with the reason in its place. */
export function listApplications(client: KubernetesClient, namespaces: Namespaces): Promise<Application[]> {
  return listAll(client, FLINK_APPLICATIONS, namespaces, jsonPages(readApplication));
}

/**
 * Writes what differs between an application's status and the next one, if the application is still as it was read.
 *
 * @returns the application as it is now; as it was where nothing differs
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function patchApplicationStatus(
  client: KubernetesClient,
  application: Application,
  status: ApplicationStatusFields,
): Promise<Application> {
  const changes = mergePatch({ ...application.status }, { ...status });
  if (changes === undefined) return application;
  const path = objectPath(FLINK_APPLICATIONS, application, 'status');
  const { resourceVersion } = application;
  return parseAnswer(
    FoundApplication,
    await client.patch(path, { metadata: { resourceVersion }, status: changes }),
    path,
  );
}

/**
 * Writes the conditions of an application, if they differ and it is still as it was read: all that is written to an application
 * that Headrace does not own.
 *
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function patchConditions(
  client: KubernetesClient,
  application: Application,
  conditions: readonly Condition[],
): Promise<void> {
  await patchApplicationStatus(client, application, { ...application.status, conditions });
}

/**
 * Makes sure that an application is still as it was read. The write changes nothing.
 *
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function confirmUnchanged(
  client: KubernetesClient,
  application: Pick<Application, 'namespace' | 'name' | 'resourceVersion'>,
): Promise<void> {
  const { resourceVersion } = application;
  await client.patch(objectPath(FLINK_APPLICATIONS, application, 'status'), { metadata: { resourceVersion } });
}

/**
 * Writes the whole list of finalizers, if the application is still as it was read.
 *
 * @returns the application as it is now: of one that was being deleted, what it was when its last finalizer went
 * @throws KubernetesError 409 when somebody wrote in between
 */
export async function patchFinalizers(
  client: KubernetesClient,
  application: Application,
  finalizers: readonly string[],
): Promise<Application> {
  const path = objectPath(FLINK_APPLICATIONS, application);
  const { resourceVersion } = application;
  return parseAnswer(FoundApplication, await client.patch(path, { metadata: { resourceVersion, finalizers } }), path);
}

function toApplication({ metadata, spec, status }: z.output<typeof WireApplication>): Application {
  const { deletionTimestamp, managedFields, ...identity } = metadata;
  return {
    ...identity,
    isDeleting: deletionTimestamp !== undefined,
    otherStatusWriters: managedFields.flatMap(toStatusWriter),
    spec: readApplicationSpec(spec),
    unknownFields: findUnknownFields(ApplicationSpec, withoutNulls(spec), 'spec'),
    status,
  };
}

function toStatusWriter({
  manager,
  time,
  fieldsV1,
}: z.output<typeof Metadata>['managedFields'][number]): StatusWriter[] {
  const hasWritten = Object.hasOwn(fieldsV1, 'f:status') && manager !== FIELD_MANAGER;
  return hasWritten && time !== undefined ? [{ manager, time }] : [];
}

/** Reads a spec, or says what is not as it must be: "spec.parallelism: …; …". */
function readApplicationSpec(spec: unknown): Reading<ApplicationFields> {
  const parsed = ApplicationSpec.safeParse(withoutNulls(spec));
  if (parsed.success) return { value: parsed.data };
  const faults = parsed.error.issues.map(({ path, message }) => `${['spec', ...path].join('.')}: ${message}`);
  return { unreadable: faults.join('; ') };
}

/** A null field is an absent one, as Go and so the API server read the parts of a pod; "emptyDir:" in YAML is such a null. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const present = Object.entries(value).filter(([, field]) => field !== null);
  return Object.fromEntries(present.map(([key, field]) => [key, withoutNulls(field)]));
}
