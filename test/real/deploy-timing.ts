// Where the time of a deploy goes: what Flink and the pods needed, and what Headrace added by not acting the moment it could.
import type { AuditEvent } from './bench/audit-log.ts';
import type { ControlPlane } from './bench/control-plane.ts';
import { eksIdentity } from './bench/eks-authenticator.ts';
import { eventually } from './bench/eventually.ts';
import { type DeployScene, type FlinkApplication, whatRuns } from './deploy-scene.ts';

/** The parts of a deploy that are Headrace's own; milliseconds. */
export interface AddedTime {
  /** From the round that sees the change until the objects of the new cluster are there. */
  readonly creating: number;
  /** From slots that suffice until the plan is asked for. */
  readonly planning: number;
  /** From the plan until the savepoint is triggered. */
  readonly saving: number;
  /** From the end of the old job until the new one is submitted. */
  readonly submitting: number;
  /** From the moment in which all tasks run until the status says Running. */
  readonly finishing: number;
}

export interface DeployTimes {
  readonly added: AddedTime;
  /** From the change until a round begins that sees it; milliseconds. */
  readonly noticing: number;
  /** From then until the status says Running. */
  readonly whole: number;
}

export interface Deploy {
  readonly controlPlane: ControlPlane;
  /** Of the same parallelism as what is deployed. */
  readonly before: FlinkApplication;
  readonly change: () => Promise<void>;
  /** Resolves when the change is deployed. */
  readonly settle: () => Promise<FlinkApplication>;
}

export async function timeDeploy(scene: DeployScene, deploy: Deploy): Promise<DeployTimes> {
  const { controlPlane, before, change, settle } = deploy;
  const { jobId, hash } = whatRuns(before);
  await change();
  const changeTime = Date.now();
  const [slotsTime, endTime, after] = await Promise.all([
    timeOf('slots of the new cluster', () => hasSlots(scene, before.status?.jobStatus?.parallelism ?? 0)),
    timeOf('the end of the old job', async () => (await scene.jobStates(hash)).get(jobId) === 'FINISHED'),
    settle(),
  ]);
  const runTime = await startOfLastTask(scene, after);
  const requests = await headraceRequests(scene, controlPlane, changeTime);
  return addUp(requests, { changeTime, slotsTime, endTime, runTime });
}

/** Epoch milliseconds, at most a tenth of a second late. */
async function timeOf(what: string, look: () => Promise<boolean>): Promise<number> {
  await eventually(what, look, { timeoutSeconds: 120, intervalMs: 100 });
  return Date.now();
}

async function hasSlots(scene: DeployScene, count: number): Promise<boolean> {
  const { rollout } = (await scene.application()).status ?? {};
  if (rollout === undefined) return false;
  const service = `orders-${rollout.hash}`;
  const overview = await scene.flink.askJobManager<{ 'slots-total': number }>(service, 'GET', '/overview');
  return overview['slots-total'] >= count;
}

/** By Flink's own clock, which is this machine's. */
async function startOfLastTask(scene: DeployScene, application: FlinkApplication): Promise<number> {
  const { jobId, hash } = whatRuns(application);
  const [service, job] = [`orders-${hash}`, `/jobs/${jobId}`];
  const { vertices } = await scene.flink.askJobManager<{ vertices: readonly { id: string }[] }>(service, 'GET', job);
  const times = await Promise.all(
    vertices.map(async ({ id }) => {
      const path = `${job}/vertices/${id}/subtasktimes`;
      const answer = await scene.flink.askJobManager<{ subtasks: readonly Subtask[] }>(service, 'GET', path);
      return answer.subtasks.map(({ timestamps }) => timestamps.RUNNING);
    }),
  );
  return Math.max(...times.flat());
}

interface Subtask {
  /** Epoch milliseconds. */
  readonly timestamps: { readonly RUNNING: number };
}

interface Request {
  /** "create services/proxy" */
  readonly what: string;
  readonly uri: string;
  readonly body: unknown;
  /** Epoch milliseconds. */
  readonly startTime: number;
  readonly endTime: number;
}

/** What Headrace asked for in the scene's namespace since then, in the order in which it was asked. */
async function headraceRequests(
  { namespace }: DeployScene,
  controlPlane: ControlPlane,
  since: number,
): Promise<readonly Request[]> {
  const events = await controlPlane.auditLog({ since });
  const own = events.filter(
    ({ user, objectRef }) => user.username === eksIdentity.username && objectRef?.namespace === namespace,
  );
  // A request through a proxy is told twice: when its answer begins, and when it ends.
  return [...Map.groupBy(own, ({ auditID }) => auditID).values()]
    .map(toRequest)
    .sort((a, b) => a.startTime - b.startTime);
}

function toRequest(stages: readonly AuditEvent[]): Request {
  const { verb, objectRef, requestURI, requestObject, requestReceivedTimestamp } = stages[0] as AuditEvent;
  const subresource = objectRef?.subresource === undefined ? '' : `/${objectRef.subresource}`;
  return {
    what: `${verb} ${objectRef?.resource}${subresource}`,
    uri: requestURI,
    body: requestObject,
    startTime: Date.parse(requestReceivedTimestamp),
    endTime: Math.max(...stages.map(({ stageTimestamp }) => Date.parse(stageTimestamp))),
  };
}

interface Sightings {
  readonly changeTime: number;
  readonly slotsTime: number;
  readonly endTime: number;
  readonly runTime: number;
}

function addUp(requests: readonly Request[], { changeTime, slotsTime, endTime, runTime }: Sightings): DeployTimes {
  const last = (what: string, fits: (request: Request) => boolean = () => true) => {
    const found = requests.findLast((request) => request.what === what && fits(request));
    if (found === undefined) throw new Error(`Headrace made no request ${what} that fits`);
    return found;
  };
  const order = (path: RegExp) => last('create services/proxy', ({ uri }) => path.test(uri));

  const first = requests.find(({ what }) => what === 'patch flinkapplications/status');
  const round = last('list flinkapplications', ({ startTime }) => startTime <= (first?.startTime ?? 0));
  const created = last('create deployments').endTime;
  const plan = order(/\/plan$/);
  const run = order(/\/run$/);
  const running = last('patch flinkapplications/status', ({ body }) => hasPhase(body, 'Running')).endTime;
  return {
    added: {
      creating: created - round.startTime,
      planning: Math.max(0, plan.startTime - Math.max(slotsTime, created)),
      saving: order(/\/stop$/).startTime - plan.endTime,
      submitting: Math.max(0, run.startTime - endTime),
      finishing: running - Math.max(runTime, run.endTime),
    },
    noticing: round.startTime - changeTime,
    whole: running - round.startTime,
  };
}

function hasPhase(body: unknown, phase: string): boolean {
  return (body as { status?: { phase?: string } } | undefined)?.status?.phase === phase;
}

export function describeTimes({ added, noticing, whole }: DeployTimes): string {
  const parts = Object.entries(added).map(([part, time]) => `${part} ${seconds(time)}`);
  const sum = Object.values(added).reduce((total: number, time: number) => total + time, 0);
  return `Headrace adds ${seconds(sum)} to a deploy of ${seconds(whole)} (${parts.join(', ')}), which was noticed after ${seconds(noticing)}`;
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
