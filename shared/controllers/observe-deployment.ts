// What a step of reconcile sees of one application: the objects of its clusters, and what their JobManagers say.

import type { Cluster as ControlledCluster } from '../control-plane.ts';
import {
  askFor,
  type ClusterToClear,
  clustersToClear,
  hashOfSubmission,
  type JobQuestions,
  needsRevisions,
  needsTroubles,
  type Questions,
} from '../deployment/questions.ts';
import { classify, clusterOf, createScene, hasEnded, type Scene } from '../deployment/scene.ts';
import { clusterServiceName } from '../deployment/templates.ts';
import type {
  Application,
  Cluster,
  Job,
  JobFailures,
  JobManagerView,
  JobSummary,
  JobView,
  Observation,
  Reading,
  Revision,
  ServiceView,
} from '../deployment/types.ts';
import { createJobManager, type JobManager } from '../flink/job-manager.ts';
import { POD_SELECTOR, partsOf } from '../kubernetes/application-labels.ts';
import type { KubernetesClient } from '../kubernetes/client.ts';
import { listHighAvailability } from '../kubernetes/config-maps.ts';
import { listRevisions } from '../kubernetes/controller-revisions.ts';
import { type ApplicationDeployment, listDeploymentsOf } from '../kubernetes/deployments.ts';
import { nameProcesses } from '../kubernetes/job-manager-processes.ts';
import { listPods } from '../kubernetes/pods.ts';
import { type ApplicationService, listServicesOf } from '../kubernetes/services.ts';
import { listTroubles } from '../kubernetes/troubled-pods.ts';
import { attempt, mapReading } from './reading.ts';

/** The objects of one application's clusters. */
export interface Parts {
  readonly deployments: readonly ApplicationDeployment[];
  readonly services: readonly ApplicationService[];
}

/** Reads the objects of one application. */
export async function readParts(client: KubernetesClient, application: Application): Promise<Parts> {
  const [deployments, services] = await Promise.all([
    listDeploymentsOf(client, application),
    listServicesOf(client, application),
  ]);
  return { deployments, services };
}

/**
 * Sees one application as it is now.
 *
 * @param now epoch milliseconds
 * @throws KubernetesError when its objects cannot be read: nothing is decided on half a picture
 */
export async function observeDeployment(
  { client }: ControlledCluster,
  application: Application,
  parts: Parts,
  now: number,
): Promise<Observation> {
  const objects = seeObjects(application, parts);
  const clusters = await countPods(client, application, objects.clusters);
  const glance = { ...objects, clusters, revisions: new Map(), jobManagers: new Map(), troubles: [] };
  const scene = createScene({ application, observation: glance, now });
  const [revisions, troubles, cleared] = await Promise.all([
    needsRevisions(scene) ? readRevisions(client, application) : new Map<string, Revision>(),
    needsTroubles(scene) ? readTroubles(client, scene) : [],
    readHighAvailability(client, scene, clustersToClear(scene)),
  ]);
  const observation = { ...glance, clusters: new Map([...clusters, ...cleared]), revisions, troubles };
  const asking = createScene({ application, observation, now });
  const views = await Promise.all(askFor(asking).map((asked) => askJobManager(client, application, asked)));
  return { ...observation, jobManagers: await withProcess(client, asking, new Map(views)) };
}

/** Read after what the JobManager said: it is no older than a process that has forgotten its jobs. */
async function withProcess(
  client: KubernetesClient,
  scene: Scene,
  views: ReadonlyMap<string, JobManagerView>,
): Promise<ReadonlyMap<string, JobManagerView>> {
  const hash = hashOfSubmission(scene) ?? '';
  const podSelector = clusterOf(scene, hash)?.jobManager?.podSelector;
  const view = views.get(hash);
  if (podSelector === undefined || view === undefined) return views;
  const process = await nameProcesses(client, scene.application, podSelector);
  return new Map([...views, [hash, { ...view, process }]]);
}

/** What an application's own objects are, their pods not counted. */
export function seeObjects(application: Application, parts: Parts): Pick<Observation, 'clusters' | 'services'> {
  return { clusters: findClusters(application, parts), services: findServices(application, parts) };
}

/** An object that bears the application's labels without being its own is none of its clusters. */
function isOwn({ uid }: Application) {
  return ({ ownerUid }: { readonly ownerUid?: string }) => ownerUid === uid;
}

function findClusters(application: Application, { deployments, services }: Parts): ReadonlyMap<string, Cluster> {
  const clusters = new Map<string, Cluster>();
  const add = (hash: string, part: Partial<Cluster>) => {
    const cluster = clusters.get(hash) ?? { hash };
    clusters.set(hash, { ...cluster, ...part });
  };
  for (const { hash, type, view } of deployments.filter(isOwn(application)))
    add(hash, type === 'jobmanager' ? { jobManager: view } : { taskManager: view });
  for (const { hash, view } of services.filter(isOwn(application)))
    if (hash !== undefined) add(hash, { service: view });
  return clusters;
}

/** Pods are counted where none is to be left: a Deployment does not count those that are about to go. */
async function countPods(
  client: KubernetesClient,
  { namespace, name }: Application,
  clusters: ReadonlyMap<string, Cluster>,
): Promise<ReadonlyMap<string, Cluster>> {
  const isEmptied = ({ jobManager, taskManager }: Cluster) => jobManager?.replicas === 0 || taskManager?.replicas === 0;
  if (![...clusters.values()].some(isEmptied)) return clusters;
  const pods = await listPods(client, [namespace], partsOf(name));
  const counted = [...clusters].map(([hash, cluster]) => {
    const selectors = [cluster.jobManager?.podSelector, cluster.taskManager?.podSelector];
    const podCount = pods.filter(({ labels }) => selectors.includes(labels[POD_SELECTOR])).length;
    return [hash, { ...cluster, podCount }] as const;
  });
  return new Map(counted);
}

function findServices(application: Application, { services }: Parts): ReadonlyMap<string, ServiceView> {
  const generic = services.filter(isOwn(application)).filter(({ hash }) => hash === undefined);
  return new Map(generic.map(({ view }) => [view.name, view]));
}

async function readRevisions(client: KubernetesClient, application: Application): Promise<Map<string, Revision>> {
  const stored = await listRevisions(client, application);
  const ordered = stored.toSorted((a, b) => a.number - b.number);
  return new Map(ordered.flatMap(({ name, revision }) => ('value' in revision ? [[name, revision.value]] : [])));
}

/** Pods that cannot be listed hinder nobody from going on: they would only have explained. */
async function readTroubles(client: KubernetesClient, scene: Scene): Promise<readonly string[]> {
  const { jobManager, taskManager } = clusterOf(scene, scene.status.rollout?.hash) ?? {};
  const podSelectors = [jobManager, taskManager].flatMap((deployment) => deployment?.podSelector ?? []);
  const troubles = await attempt(listTroubles(client, scene.application, podSelectors));
  return 'value' in troubles ? troubles.value : [troubles.unreadable];
}

function readHighAvailability(
  client: KubernetesClient,
  { application, observation }: Scene,
  toClear: readonly ClusterToClear[],
): Promise<readonly (readonly [string, Cluster])[]> {
  const read = async ({ hash, clusterId }: ClusterToClear) => {
    const highAvailability = await attempt(listHighAvailability(client, application.namespace, clusterId));
    return [hash, { ...(observation.clusters.get(hash) ?? { hash }), highAvailability }] as const;
  };
  return Promise.all(toClear.map(read));
}

/** The JobManager of one of an application's clusters. */
export function jobManagerOf(
  client: KubernetesClient,
  { namespace, name }: Pick<Application, 'namespace' | 'name'>,
  hash: string,
): JobManager {
  return createJobManager(client, { namespace, service: clusterServiceName(name, hash) });
}

async function askJobManager(
  client: KubernetesClient,
  application: Application,
  { hash, asksJobsFirst, of, plan, disposalTriggerId }: Questions,
): Promise<readonly [string, JobManagerView]> {
  const jobManager = jobManagerOf(client, application, hash);
  // Before anything else of a job its state: what is read of its checkpoints then is no older than its end.
  const asking = attempt(jobManager.jobs());
  const first = asksJobsFirst ? await asking : undefined;
  if (first !== undefined && 'unreadable' in first) {
    const details = silentJobs(of, first);
    return [hash, { jobs: first, overview: first, taskManagers: first, details }];
  }
  const [jobs, overview, taskManagers, planned, disposal] = await Promise.all([
    asking,
    attempt(jobManager.overview()),
    attempt(jobManager.taskManagers()),
    plan && attempt(jobManager.plan(plan)),
    disposalTriggerId === undefined ? undefined : attempt(jobManager.disposal(disposalTriggerId)),
  ]);
  return [
    hash,
    {
      jobs,
      overview,
      taskManagers,
      details: 'value' in jobs ? await askOfJobs(jobManager, of, jobs.value) : silentJobs(of, jobs),
      ...(planned && { plan: planned }),
      ...(disposal && { disposal }),
    },
  ];
}

/** Of a JobManager that does not say which jobs there are nothing else is asked. */
function silentJobs(of: readonly JobQuestions[], silence: Unreadable): JobManagerView['details'] {
  return new Map(of.map(({ jobId }) => [jobId, { job: silence }]));
}

type Unreadable = Extract<Reading<unknown>, { readonly unreadable: string }>;

async function askOfJobs(
  jobManager: JobManager,
  of: readonly JobQuestions[],
  jobs: readonly JobSummary[],
): Promise<JobManagerView['details']> {
  const ask = async (questions: JobQuestions) =>
    [questions.jobId, await askOfJob(jobManager, questions, jobs)] as const;
  return new Map(await Promise.all(of.map(ask)));
}

async function askOfJob(
  jobManager: JobManager,
  questions: JobQuestions,
  jobs: readonly JobSummary[],
): Promise<JobView> {
  const { jobId, savepointTriggerId, periodicTriggerId } = questions;
  const listed = jobs.find(({ id }) => id === jobId);
  const mayHaveEnded = listed === undefined || hasEnded(classify(listed.state));
  const hasFailed = listed !== undefined && classify(listed.state) === 'Failed';
  const asking = attempt(jobManager.job(jobId));
  const [job, checkpoints, checkpointConfig, resourceRequirements, failures, restarts, savepoint, periodicSavepoint] =
    await Promise.all([
      asking,
      questions.checkpoints ? attempt(jobManager.checkpoints(jobId, mayHaveEnded)) : undefined,
      questions.checkpointConfig ? attempt(jobManager.checkpointConfig(jobId)) : undefined,
      questions.resourceRequirements ? attempt(jobManager.resourceRequirements(jobId)) : undefined,
      hasFailed
        ? asking.then((page) => readLastFailures(jobManager, jobId, page))
        : attempt(jobManager.failures(jobId)),
      attempt(jobManager.restarts(jobId)),
      savepointTriggerId === undefined ? undefined : attempt(jobManager.savepoint(jobId, savepointTriggerId)),
      periodicTriggerId === undefined ? undefined : attempt(jobManager.savepoint(jobId, periodicTriggerId)),
    ]);
  return {
    // A job's own page may be as old as web.refresh-interval (3 s by default); the list of jobs is always new.
    job: listed === undefined ? job : mapReading(job, (page) => page && { ...page, state: listed.state }),
    ...(checkpoints && { checkpoints }),
    ...(checkpointConfig && { checkpointConfig }),
    ...(resourceRequirements && { resourceRequirements }),
    failures,
    restarts,
    ...(savepoint && { savepoint }),
    ...(periodicSavepoint && { periodicSavepoint }),
  };
}

/**
 * Why a job has failed for good. All that a JobManager says of a job but its state may be some seconds old, of one age
 * (web.refresh-interval): what is read after a page that knows of the end is no older than the end.
 */
async function readLastFailures(
  jobManager: JobManager,
  jobId: string,
  page: Reading<Job | undefined>,
): Promise<Reading<JobFailures>> {
  const knowsOfEnd = 'value' in page && page.value !== undefined && classify(page.value.state) === 'Failed';
  return knowsOfEnd
    ? attempt(jobManager.failures(jobId))
    : { unreadable: 'what the JobManager says of the job is older than its failure' };
}
