// A status that Lyft's operator has written, read in Headrace's terms. Outside BlueGreen both say the same with the same fields. In
// BlueGreen the operator keeps what it knows of a job and of a cluster with the version they belong to, and lets the top of the
// status go stale: there, jobStatus names the job that was submitted last, whichever version that was.

import type { Application, ApplicationStatus, Rollout } from './types.ts';

/** Another operator deployed it: it has a state, and nothing in it is Headrace's. */
export function isForeign({ status }: Pick<Application, 'status'>): boolean {
  const { phase = '', deployHash = '', currentRevision, rollout, failedDeploy, suspension, deletion } = status;
  const hasState = phase !== '' || deployHash !== '';
  const isOurs = [currentRevision, rollout, failedDeploy, suspension, deletion].some((trace) => trace !== undefined);
  return hasState && !isOurs;
}

/**
 * Reads the status of an application in BlueGreen that another operator deployed: the top speaks of the deployed version, and where
 * a second version was submitted beside it, a rollout speaks of that one.
 *
 * @param wanted name of the revision that the spec asks for; empty where it asks for none
 */
export function readForeignBlueGreen(status: ApplicationStatus, wanted: string): ApplicationStatus {
  const { deployHash, jobStatus, clusterStatus, ...rest } = status;
  const deployed = versionOf(status, deployHash, 0);
  if (!deployHash || deployed === undefined) return status;
  const second = secondVersion(status, wanted);
  const job = deployed.jobStatus ?? (second === undefined ? jobStatus : undefined);
  return {
    ...rest,
    deployHash,
    ...(deployed.clusterStatus && { clusterStatus: deployed.clusterStatus }),
    ...(job && { jobStatus: job }),
    ...(second && { rollout: second }),
  };
}

function secondVersion(status: ApplicationStatus, revision: string): Rollout | undefined {
  const { phase = '', deployHash, updatingHash = '', lastUpdatedAt } = status;
  const jobId = versionOf(status, updatingHash, 1)?.jobStatus?.jobID;
  if (isForeignAtRest(phase) || updatingHash === '' || updatingHash === deployHash || !jobId) return undefined;
  const oldJobId = versionOf(status, deployHash, 0)?.jobStatus?.jobID;
  // The operator notes no time of a deploy but that of its last write, and DualRunning has no deadline.
  const time = lastUpdatedAt ?? EPOCH;
  return {
    kind: 'NewCluster',
    revision,
    hash: updatingHash,
    startTime: time,
    deadline: time,
    ...(oldJobId && { oldJobId }),
    jobId,
    isSubmitted: true,
  };
}

/** Lyft's operator has one version deployed, or none, and is doing nothing about it. */
export function isForeignAtRest(phase = ''): boolean {
  return phase === '' || phase === 'Running' || phase === 'DeployFailed';
}

const EPOCH = '1970-01-01T00:00:00Z';

/** By its hash, which an entry that was never filled in does not have. */
function versionOf({ versionStatuses = [] }: ApplicationStatus, hash: string | undefined, index: number) {
  const named = versionStatuses.find(({ versionHash }) => versionHash !== undefined && versionHash === hash);
  const placed = versionStatuses[index];
  return named ?? (placed?.versionHash ? undefined : placed);
}
