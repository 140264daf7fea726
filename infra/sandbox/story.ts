// The story of npm start: twenty minutes of one application, from its first deploy to its second rescale, told from what the API
// server holds after each round.

import { timestamp } from './clock.ts';
import type { KubernetesObject } from './kinds.ts';
import { type Sandbox, startSandbox } from './server.ts';
import { connectTriggers, type Triggers } from './triggers.ts';

export interface StoryOptions {
  /** Percent of their request that the TaskManagers should use. */
  readonly target: number;
  /** Percent of their request that the first TaskManagers use when the load has risen. */
  readonly load: number;
  readonly taskManagers: number;
  readonly slots: number;
  readonly maxReplicas: number;
  /** Default: any free one. */
  readonly port?: number;
}

export const STORY_DEFAULTS: StoryOptions = { target: 40, load: 80, taskManagers: 2, slots: 2, maxReplicas: 20 };

export interface Story {
  readonly sandbox: Sandbox;
  readonly triggers: Triggers;
  /** What was printed, line by line. */
  readonly lines: readonly string[];
}

const NAMESPACE = 'flink';
const NAME = 'orders';
const MINUTE_SECONDS = 60;
/** How often messages are looked for: an application on its way calls for a look every few seconds. */
const POLL_SECONDS = 3;
const CPU_REQUEST_MILLI = 1000;

/** Minutes after the beginning. */
const STORY_MINUTES = 20;
const LOAD_RISES_MINUTE = 3;
const LOAD_FALLS_MINUTE = 9;

/** Plays the story from twenty minutes ago up to now; the sandbox goes on living, in real time. */
export async function tellStory(options: StoryOptions, print: (line: string) => void): Promise<Story> {
  const present = Math.floor(Date.now() / 1000 / MINUTE_SECONDS) * MINUTE_SECONDS * 1000;
  const start = present - STORY_MINUTES * MINUTE_SECONDS * 1000;
  const sandbox = await startSandbox({
    now: start,
    namespace: NAMESPACE,
    ...(options.port !== undefined && { port: options.port }),
  });
  populate(sandbox, options, start);
  const triggers = await connectTriggers(sandbox);
  const narrator = new Narrator(sandbox, print);

  narrator.say(
    `${options.taskManagers} TaskManagers × ${options.slots} slots, target ${options.target} % of their CPU request`,
  );
  for (let minute = 0; minute < STORY_MINUTES; minute += 1) {
    if (minute === LOAD_RISES_MINUTE)
      narrator.say(`load rises: ${options.load} % of what ${options.taskManagers} TaskManagers request`);
    if (minute === LOAD_FALLS_MINUTE) narrator.say('load falls to what it was');
    await triggers.minute();
    for (let second = 0; second < MINUTE_SECONDS; second += POLL_SECONDS) {
      await triggers.poll();
      narrator.lookAround();
      sandbox.clock.advance(POLL_SECONDS);
      narrator.lookAround();
    }
  }
  narrator.conclude();
  sandbox.clock.realTime();
  return { sandbox, triggers, lines: narrator.lines };
}

function populate(sandbox: Sandbox, options: StoryOptions, start: number): void {
  const { target, load, taskManagers, maxReplicas } = options;
  const atPercent = (percent: number) => (taskManagers * percent * CPU_REQUEST_MILLI) / 100;
  const rises = start + LOAD_RISES_MINUTE * MINUTE_SECONDS * 1000;
  const falls = start + LOAD_FALLS_MINUTE * MINUTE_SECONDS * 1000;
  sandbox.store.put(flinkApplication(options));
  sandbox.flink.setLoad(NAMESPACE, NAME, [
    { time: rises, loadMilli: atPercent(target) },
    { time: rises, loadMilli: atPercent(load) },
    { time: falls, loadMilli: atPercent(load) },
    { time: falls, loadMilli: atPercent(target) },
  ]);
  sandbox.store.put({
    apiVersion: 'headrace.dev/v1alpha1',
    kind: 'FlinkAutoscaler',
    metadata: { namespace: NAMESPACE, name: NAME },
    spec: {
      scaleTargetRef: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: NAME },
      minReplicas: 1,
      maxReplicas,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: target } } },
      ],
    },
  });
}

/** As a user writes it; the image, the jar and its job are the sandbox's own. */
function flinkApplication({ taskManagers, slots }: StoryOptions): KubernetesObject {
  return {
    apiVersion: 'flink.k8s.io/v1beta1',
    kind: 'FlinkApplication',
    metadata: { namespace: NAMESPACE, name: NAME },
    spec: {
      image: 'registry.example.com/streaming/orders:1.20.3',
      flinkVersion: '1.20',
      jarName: 'orders.jar',
      entryClass: 'com.example.Orders',
      parallelism: taskManagers * slots,
      flinkConfig: {
        'execution.checkpointing.interval': '10 s',
        'execution.checkpointing.dir': 's3://example/checkpoints',
        'execution.checkpointing.savepoint-dir': 's3://example/savepoints',
        'execution.checkpointing.externalized-checkpoint-retention': 'RETAIN_ON_CANCELLATION',
      },
      taskManagerConfig: {
        taskSlots: slots,
        resources: { requests: { cpu: `${CPU_REQUEST_MILLI}m`, memory: '1Gi' }, limits: { memory: '1Gi' } },
      },
    },
  };
}

interface AutoscalerView {
  readonly status?: {
    readonly lastDecision?: { readonly time: string; readonly reason: string; readonly message: string };
  };
}

interface ApplicationView {
  readonly status?: {
    readonly phase?: string;
    readonly clusterStatus?: { readonly numberOfTaskManagers?: number };
    readonly jobStatus?: { readonly parallelism?: number; readonly restorePath?: string };
  };
}

/** What each phase of a deploy is about. */
const PHASES: Record<string, string> = {
  Updating: 'the target is pinned in a ControllerRevision',
  ClusterStarting: 'a cluster of its own is started for it',
  Savepointing: 'the job is stopped with a savepoint',
  SubmittingJob: 'the job is submitted to the new cluster',
};

/** Says what is new since it last looked. */
class Narrator {
  readonly lines: string[] = [];
  readonly #sandbox: Sandbox;
  readonly #print: (line: string) => void;
  #toldDecision = '';
  #toldPhase = '';
  #toldSize = '';

  constructor(sandbox: Sandbox, print: (line: string) => void) {
    this.#sandbox = sandbox;
    this.#print = print;
  }

  say(text: string): void {
    const line = `${timestamp(this.#sandbox.clock.now()).slice(11, 19)}  ${text}`;
    this.lines.push(line);
    this.#print(line);
  }

  lookAround(): void {
    this.#tellDecision();
    this.#tellPhase();
    if (this.#status().phase === 'Running') this.#tellSize();
  }

  /** What it all came to, by the books of the pretend Flink. */
  conclude(): void {
    const { runs, count, overlapSeconds } = this.#sandbox.flink.ledger(NAMESPACE, NAME);
    this.say(
      `${runs.length} jobs one after the other, ${overlapSeconds} s of two at once, ${count} records counted exactly once`,
    );
  }

  #tellDecision(): void {
    const autoscaler = this.#sandbox.store.get('FlinkAutoscaler', NAMESPACE, NAME) as AutoscalerView | undefined;
    const decision = autoscaler?.status?.lastDecision;
    if (decision === undefined || decision.time + decision.reason === this.#toldDecision) return;
    this.#toldDecision = decision.time + decision.reason;
    this.say(`headrace  ${decision.message}`);
  }

  #tellPhase(): void {
    const { phase = '' } = this.#status();
    if (phase === this.#toldPhase) return;
    this.#toldPhase = phase;
    const about = PHASES[phase];
    if (about !== undefined) this.say(`headrace  ${phase}: ${about}`);
  }

  #tellSize(): void {
    const { clusterStatus, jobStatus } = this.#status();
    const size = `${clusterStatus?.numberOfTaskManagers} TaskManagers run, parallelism ${jobStatus?.parallelism}`;
    if (size === this.#toldSize) return;
    this.#toldSize = size;
    const from = jobStatus?.restorePath === undefined ? '' : `, restored from ${jobStatus.restorePath}`;
    this.say(`          ${size}${from}`);
  }

  #status(): NonNullable<ApplicationView['status']> {
    const application = this.#sandbox.store.get('FlinkApplication', NAMESPACE, NAME) as ApplicationView | undefined;
    return application?.status ?? {};
  }
}
