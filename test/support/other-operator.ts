// Lyft's operator beside Headrace: what it deploys is the same in names and hashes, but it writes less into the status, writes it
// elsewhere in BlueGreen, and keeps no revision.

import type { ApplicationStatus, JobStatus, VersionStatus } from '../../shared/deployment/types.ts';
import { type Deployments, NAMESPACE } from './deployments.ts';

/** The field manager under which the operator writes. */
const OPERATOR = 'flinkoperator';

/**
 * Leaves an application that Headrace has deployed as the operator would have left it, written at this instant by the operator.
 *
 * @param changes laid over the status that it leaves
 */
export function leaveAsLyftDoes(deployments: Deployments, changes: Partial<ApplicationStatus> = {}): void {
  const { store, clock } = deployments.sandbox;
  for (const { metadata } of store.list('ControllerRevision'))
    store.remove('ControllerRevision', NAMESPACE, metadata.name);
  const application = deployments.application();
  const { taskManagerConfig, ...spec } = application.spec as { taskManagerConfig: { replicas?: number } };
  const { replicas, ...own } = taskManagerConfig;
  const time = new Date(clock.now()).toISOString();
  const { apiVersion, metadata } = application;
  const writer = { manager: OPERATOR, operation: 'Update', apiVersion, time, fieldsType: 'FieldsV1' } as const;
  store.put({
    ...application,
    metadata: { ...metadata, managedFields: [{ ...writer, fieldsV1: { 'f:status': { 'f:phase': {} } } }] },
    spec: { ...spec, taskManagerConfig: own },
    status: { ...statusOfLyft(deployments.status()), lastUpdatedAt: time, ...changes },
  });
}

function statusOfLyft(status: ApplicationStatus): ApplicationStatus {
  const { phase, deployHash, deploymentMode } = status;
  const common = { phase, deployHash, ...(deploymentMode && { deploymentMode }) } as ApplicationStatus;
  if (deploymentMode !== 'BlueGreen')
    return { ...common, jobStatus: status.jobStatus ?? {}, clusterStatus: status.clusterStatus ?? {} };
  const { deployVersion, updatingVersion, updatingHash, rollout, versionStatuses = [] } = status;
  // As Go writes structs of which nobody has set a field.
  const unset: VersionStatus = {
    clusterStatus: { availableTaskSlots: 0 },
    jobStatus: { jarName: '', parallelism: 0 },
  };
  const [deployed = unset, updating = unset] = versionStatuses;
  const jobID = rollout?.jobId ?? status.jobStatus?.jobID;
  return {
    ...common,
    ...(deployVersion && { deployVersion }),
    ...(updatingVersion && { updatingVersion }),
    ...(updatingHash && { updatingHash }),
    clusterStatus: { availableTaskSlots: 0 },
    // The job that was submitted last, and nothing of it but its id.
    jobStatus: { ...unset.jobStatus, ...(jobID && { jobID }) } as JobStatus,
    versionStatuses: [deployed, updating.versionHash ? updating : unset],
  };
}
