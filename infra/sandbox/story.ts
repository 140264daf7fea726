// The story of npm start: twenty minutes of one application, told from what the API server holds after each tick.

import { timestamp } from './clock.ts';
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
const TICK_SECONDS = 15;
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
    for (let second = 0; second < MINUTE_SECONDS; second += TICK_SECONDS) {
      await triggers.poll();
      narrator.lookAround();
      sandbox.clock.advance(TICK_SECONDS);
      narrator.lookAround();
    }
  }
  sandbox.clock.realTime();
  return { sandbox, triggers, lines: narrator.lines };
}

function populate(sandbox: Sandbox, options: StoryOptions, start: number): void {
  const { target, load, taskManagers, slots, maxReplicas } = options;
  const atPercent = (percent: number) => (taskManagers * percent * CPU_REQUEST_MILLI) / 100;
  const rises = start + LOAD_RISES_MINUTE * MINUTE_SECONDS * 1000;
  const falls = start + LOAD_FALLS_MINUTE * MINUTE_SECONDS * 1000;
  sandbox.simulation.addApplication({
    namespace: NAMESPACE,
    name: NAME,
    parallelism: taskManagers * slots,
    taskSlots: slots,
    cpuRequestMilli: CPU_REQUEST_MILLI,
    loadMilli: [
      { time: rises, loadMilli: atPercent(target) },
      { time: rises, loadMilli: atPercent(load) },
      { time: falls, loadMilli: atPercent(load) },
      { time: falls, loadMilli: atPercent(target) },
    ],
  });
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

interface AutoscalerView {
  readonly status?: {
    readonly lastDecision?: { readonly time: string; readonly reason: string; readonly message: string };
  };
}

interface ApplicationView {
  readonly status?: {
    readonly clusterStatus?: { readonly numberOfTaskManagers?: number };
    readonly jobStatus?: { readonly parallelism?: number };
  };
}

/** Says what is new since it last looked. */
class Narrator {
  readonly lines: string[] = [];
  readonly #sandbox: Sandbox;
  readonly #print: (line: string) => void;
  #toldDecision = '';
  #toldSize = '';

  constructor(sandbox: Sandbox, print: (line: string) => void) {
    this.#sandbox = sandbox;
    this.#print = print;
    this.#toldSize = this.#describeSize();
  }

  say(text: string): void {
    const line = `${timestamp(this.#sandbox.clock.now()).slice(11, 19)}  ${text}`;
    this.lines.push(line);
    this.#print(line);
  }

  lookAround(): void {
    this.#tellDecision();
    const size = this.#describeSize();
    if (size === this.#toldSize) return;
    this.#toldSize = size;
    this.say(`          ${size}`);
  }

  #tellDecision(): void {
    const autoscaler = this.#sandbox.store.get('FlinkAutoscaler', NAMESPACE, NAME) as AutoscalerView | undefined;
    const decision = autoscaler?.status?.lastDecision;
    if (decision === undefined || decision.time + decision.reason === this.#toldDecision) return;
    this.#toldDecision = decision.time + decision.reason;
    this.say(`headrace  ${decision.message}`);
  }

  #describeSize(): string {
    const application = this.#sandbox.store.get('FlinkApplication', NAMESPACE, NAME) as ApplicationView | undefined;
    const { clusterStatus, jobStatus } = application?.status ?? {};
    return `${clusterStatus?.numberOfTaskManagers} TaskManagers run, parallelism ${jobStatus?.parallelism}`;
  }
}
