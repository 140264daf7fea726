// What is put before both controllers: autoscalers with every kind of metric and behaviour, the pods behind them, and what the metrics APIs
// say at each tick.
import { createRandom, type Random } from './random.ts';

/** Seconds between two ticks. Half of Headrace's own period of 15 s is still less: below that a tick stands back from the one before. */
export const tickSeconds = 12;
export const ticksPerCase = 5;

/** What the controller manager has as flags, and FlinkAutoscalers as spec.controller. */
export const settings = {
  cpuInitializationPeriodSeconds: 300,
  initialReadinessDelaySeconds: 30,
  tolerance: 0.1,
  downscaleStabilizationSeconds: 20,
};

// What happened at earlier ticks is 12, 24, 36 s … ago, give or take a second or two. Headrace takes a recommendation that still held when it last
// looked for one that held until 15 s before this tick, so it may see 15, 27, 39 s …. No window and no period ends near any of these.
export const windows = [0, 8, 20, 32, 44] as const;
export const periods = [6, 15, 18, 30, 42] as const;

export const metricTypes = ['Resource', 'ContainerResource', 'Pods', 'Object', 'External'] as const;
export type MetricType = (typeof metricTypes)[number];

/** One autoscaler and its twin, and all that they see. */
export interface Case {
  readonly name: string;
  /** What both have in their spec, but for the target. */
  readonly spec: HorizontalSpec;
  /** The size at the beginning. */
  readonly replicas: number;
  /** What the target says it has; it does not follow the size. */
  readonly statusReplicas: number;
  /** What both targets say of their pods, where it is not the selector of those below; null for nothing. */
  readonly selector?: string | null;
  /** What only Headrace looks at: in spec.controller, beside `settings`. */
  readonly controller?: object;
  /** The phase of the target's deployment; default Running. */
  readonly phase?: string;
  readonly pods: readonly PodPlan[];
  readonly ticks: readonly TickPlan[];
}

export interface HorizontalSpec {
  readonly minReplicas?: number;
  readonly maxReplicas: number;
  readonly metrics?: readonly Metric[];
  readonly behavior?: object;
}

export type Metric = { readonly type: string } & Readonly<Record<string, unknown>>;

export type PodState =
  | 'ready'
  | 'unready'
  | 'never ready'
  | 'young and ready'
  | 'young and measured too early'
  | 'young and unready'
  | 'without conditions'
  | 'without start time'
  | 'pending'
  | 'failed'
  | 'succeeded'
  | 'deleted';

export interface PodPlan {
  readonly name: string;
  readonly state: PodState;
  readonly containers: readonly ContainerPlan[];
  /** Of the pod as a whole. */
  readonly requests?: Requests;
}

interface ContainerPlan {
  readonly name: string;
  readonly requests: Requests;
  readonly isSidecar?: boolean;
}

type Requests = Readonly<Partial<Record<'cpu' | 'memory', string>>>;

/** What is new at one tick. */
export interface TickPlan {
  /** Somebody sets both sizes by hand before it. */
  readonly replicas?: number;
  /** By pod, also of pods that are not there; a pod that is missing has no sample. */
  readonly usage: ReadonlyMap<string, PodUsagePlan>;
  /** By name of the metric; one that is missing cannot be read. */
  readonly values: ReadonlyMap<string, MetricAnswer>;
}

export interface PodUsagePlan {
  readonly containers: readonly { readonly name: string; readonly usage: Requests }[];
  readonly windowSeconds: number;
}

/** A value for each pod that has one, or the series of a metric beside them. */
export type MetricAnswer = ReadonlyMap<string, string> | readonly string[];

const taskManager = 'taskmanager';
const sidecar = 'log';

/** Plans the cases of one wave. The same seed gives the same waves. */
export function planWave(seed: number, wave: number, count: number): readonly Case[] {
  const random = createRandom(seed + wave * 1_000_003);
  return Array.from({ length: count }, (_, index) => planCase(random, `w${wave}x${index}`, index));
}

function planCase(random: Random, name: string, index: number): Case {
  return random.oneIn(10) ? planSleeper(random, name) : planAnyCase(random, name, index);
}

/** One that has nothing to do every now and then, and may go to zero. */
function planSleeper(random: Random, name: string): Case {
  const gauge = planGauge(random, random.pick(['Object', 'External']), `${name}-0`);
  const maxReplicas = random.between(4, 12);
  const ticks = Array.from({ length: ticksPerCase }, () => {
    const load = random.oneIn(2) ? 0 : random.next() * maxReplicas;
    return { usage: new Map(), values: new Map([[gauge.name, [milli(gauge.onTarget * load)]]]) };
  });
  const behavior = { scaleDown: { stabilizationWindowSeconds: random.pick([0, 8]) } };
  const replicas = random.between(1, 4);
  const spec = { minReplicas: 0, maxReplicas, metrics: [gauge.metric], ...(!random.oneIn(4) && { behavior }) };
  return { name, spec, replicas, statusReplicas: replicas, pods: planPods(random, name), ticks };
}

function planAnyCase(random: Random, name: string, index: number): Case {
  // Every type comes first in turn, so that none is rare.
  const first = metricTypes[index % metricTypes.length] as MetricType;
  const further = random.oneIn(2) ? [] : Array.from({ length: random.between(1, 2) }, () => random.pick(metricTypes));
  const gauges = [first, ...further].map((type, position) => planGauge(random, type, `${name}-${position}`));
  const replicas = random.oneIn(12) ? random.between(0, 30) : random.between(1, 8);
  const pods = planPods(random, name);
  const bounds = planBounds(random, gauges);
  const behavior = random.oneIn(3) ? {} : { behavior: planBehavior(random) };
  const ticks = Array.from({ length: ticksPerCase }, (_, tick) => {
    // A size that somebody else sets right after a step of ours counts as part of that step, which only matters with behavior.
    const edit = tick > 0 && !('behavior' in behavior) && random.oneIn(16) ? { replicas: random.between(0, 12) } : {};
    return { ...edit, ...planReadings(random, gauges, pods) };
  });
  return {
    name,
    spec: { ...bounds, metrics: gauges.map(({ metric }) => metric), ...behavior },
    replicas,
    statusReplicas: random.oneIn(4) ? random.between(1, 10) : Math.max(1, replicas),
    ...(random.oneIn(50) && { selector: random.pick([null, `flink-app=${name},!absent`]) }),
    pods,
    ticks,
  };
}

function planBounds(random: Random, gauges: readonly Gauge[]): Pick<HorizontalSpec, 'minReplicas' | 'maxReplicas'> {
  const mayBeZero = gauges.some(({ type }) => type === 'Object' || type === 'External');
  const minReplicas = mayBeZero && random.oneIn(3) ? 0 : random.between(1, 3);
  const maxReplicas = Math.max(1, minReplicas) + (random.oneIn(3) ? random.between(0, 4) : random.between(5, 40));
  return { ...(minReplicas !== 1 && { minReplicas }), maxReplicas };
}

function planBehavior(random: Random): object {
  // The same for both directions: where they differ, docs/differences-from-hpa.md has something to say.
  const longestPeriod = random.pick(periods);
  const mayBeAbsent = longestPeriod === defaultPeriod;
  return {
    ...((!mayBeAbsent || !random.oneIn(4)) && { scaleUp: planRules(random, longestPeriod) }),
    ...((!mayBeAbsent || !random.oneIn(4)) && { scaleDown: planRules(random, longestPeriod) }),
  };
}

/** Of the policies of autoscaling/v2. */
const defaultPeriod = 15;

function planRules(random: Random, longestPeriod: number): object {
  const policies = Array.from({ length: random.between(1, 3) }, (_, index) => ({
    ...(random.oneIn(2)
      ? { type: 'Pods', value: random.between(1, 6) }
      : { type: 'Percent', value: random.pick([1, 10, 25, 50, 100, 300]) }),
    periodSeconds: index === 0 ? longestPeriod : random.pick(periods.filter((period) => period <= longestPeriod)),
  }));
  return {
    ...(!random.oneIn(3) && { stabilizationWindowSeconds: random.pick(windows) }),
    ...((longestPeriod !== defaultPeriod || !random.oneIn(3)) && { policies }),
    ...(random.oneIn(3) && { selectPolicy: random.pick(['Max', 'Min', 'Min', 'Disabled']) }),
    ...(random.oneIn(3) && { tolerance: random.pick([0, 0.05, '0.2', '333m', '1', '0.0999', '100001u']) }),
  };
}

/** A metric, and what a load of 1, right on target, looks like. */
interface Gauge {
  readonly type: MetricType;
  readonly metric: Metric;
  /** Of the metrics that have one. */
  readonly name: string;
  /** A pod's part at a load of 1, in thousandths; of Object and External the whole. */
  readonly onTarget: number;
  readonly resource?: 'cpu' | 'memory';
}

function planGauge(random: Random, type: MetricType, suffix: string): Gauge {
  const identifier = (name: string) => ({
    name: `${name}-${suffix}`,
    ...(random.oneIn(4) && { selector: { matchLabels: { topic: 'orders' } } }),
  });
  switch (type) {
    case 'Resource':
    case 'ContainerResource': {
      const resource = random.oneIn(3) ? 'memory' : 'cpu';
      const percent = random.pick([10, 40, 50, 60, 80, 100, 150]);
      const isUtilization = !random.oneIn(3);
      // Memory is written in thousandths of a byte here, 1 Gi each.
      const request = resource === 'cpu' ? 1000 : 2 ** 30 * 1000;
      const onTarget = Math.round((request * percent) / 100);
      const target = isUtilization
        ? { type: 'Utilization', averageUtilization: percent }
        : { type: 'AverageValue', averageValue: `${onTarget}m` };
      const container = random.oneIn(10) ? 'nobody' : random.pick([taskManager, taskManager, sidecar]);
      const metric =
        type === 'Resource'
          ? { type, resource: { name: resource, target } }
          : { type, containerResource: { name: resource, container, target } };
      return { type, metric, name: '', onTarget, resource };
    }
    case 'Pods': {
      const onTarget = random.pick([500, 1000, 7000, 123_456]);
      const metric = identifier('busy');
      const target = { type: 'AverageValue', averageValue: writeQuantity(random, onTarget) };
      return { type, metric: { type, pods: { metric, target } }, name: metric.name, onTarget };
    }
    case 'Object': {
      const onTarget = random.pick([1000, 30_000, 123_456]);
      const metric = identifier('requests');
      const describedObject = random.pick([
        { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', name: 'front' },
        { apiVersion: 'v1', kind: 'Service', name: 'front' },
        { apiVersion: 'v1', kind: 'Namespace', name: 'whatever' },
      ]);
      const target = planValueTarget(random, onTarget);
      return { type, metric: { type, object: { describedObject, metric, target } }, name: metric.name, onTarget };
    }
    case 'External': {
      const onTarget = random.pick([1000, 30_000, 1_000_000]);
      const metric = identifier('lag');
      const target = planValueTarget(random, onTarget);
      return { type, metric: { type, external: { metric, target } }, name: metric.name, onTarget };
    }
    default:
      throw type satisfies never;
  }
}

function planValueTarget(random: Random, onTarget: number): object {
  const quantity = writeQuantity(random, onTarget);
  return random.oneIn(2) ? { type: 'Value', value: quantity } : { type: 'AverageValue', averageValue: quantity };
}

/** Thousandths as one of the texts that mean them. */
function writeQuantity(random: Random, thousandths: number): string {
  const plain = thousandths % 1000 === 0 ? String(thousandths / 1000) : `${thousandths}m`;
  return random.pick([plain, `${thousandths}m`, `${thousandths}e-3`, `${thousandths * 1000}u`]);
}

const usualStates: readonly PodState[] = ['ready'];
const oddStates: readonly PodState[] = [
  'unready',
  'never ready',
  'young and ready',
  'young and measured too early',
  'young and unready',
  'without conditions',
  'without start time',
  'pending',
  'failed',
  'succeeded',
  'deleted',
];

function planPods(random: Random, name: string): readonly PodPlan[] {
  const hasSidecar = random.oneIn(3);
  const isAllWell = random.oneIn(3);
  const count = random.oneIn(25) ? 0 : random.between(1, 5);
  return Array.from({ length: count }, (_, index) => {
    const isOdd = !isAllWell && random.oneIn(3);
    const requests = { cpu: '1', memory: '1Gi' };
    const lacking: Requests = isOdd && random.oneIn(8) ? { memory: '1Gi' } : requests;
    return {
      name: `${name}-${index}`,
      state: random.pick(isOdd ? oddStates : usualStates),
      containers: [
        { name: taskManager, requests: lacking },
        ...(hasSidecar ? [{ name: sidecar, requests: { cpu: '100m', memory: '64Mi' }, isSidecar: true }] : []),
      ],
      ...(isOdd && random.oneIn(8) && { requests: { cpu: '2', memory: '2Gi' } }),
    };
  });
}

/** How far from its target a metric is: on it, at the tolerance's edges, somewhat beside it, far away. */
function planLoad(random: Random): number {
  const near = [1, 0.9, 1.1, 0.95, 1.05, 1.11, 0.89];
  return random.pick([random.pick(near), 0.3 + random.next() * 1.7, random.pick([0, 0.1, 3, 10])]);
}

function planReadings(
  random: Random,
  gauges: readonly Gauge[],
  pods: readonly PodPlan[],
): Pick<TickPlan, 'usage' | 'values'> {
  const values = new Map<string, MetricAnswer>();
  const loads = { cpu: 0, memory: 0 };
  for (const { type, name, resource, onTarget } of gauges) {
    const amount = onTarget * planLoad(random);
    if (resource !== undefined) loads[resource] = amount;
    else if (type === 'Pods') {
      if (!random.oneIn(12)) values.set(name, planPodValues(random, amount, pods));
    } else if (!random.oneIn(12)) values.set(name, planSeries(random, amount * random.between(1, 8), type));
  }
  return { usage: planUsage(random, loads, pods), values };
}

function planPodValues(random: Random, amount: number, pods: readonly PodPlan[]): MetricAnswer {
  const measured = pods
    .filter(() => !random.oneIn(10))
    .map(({ name }): readonly [string, string] => [name, milli(vary(random, amount))]);
  return new Map([...measured, ...(random.oneIn(15) ? [['a-stranger', milli(amount)] as const] : [])]);
}

function planSeries(random: Random, amount: number, type: MetricType): MetricAnswer {
  const count = type === 'Object' ? 1 : random.pick([1, 1, 1, 2, 3, 0]);
  return Array.from({ length: count }, () => milli(amount / Math.max(1, count)));
}

function planUsage(
  random: Random,
  loads: Readonly<Record<'cpu' | 'memory', number>>,
  pods: readonly PodPlan[],
): TickPlan['usage'] {
  // Once in a while metrics-server knows none of them.
  if (random.oneIn(30)) return new Map();
  const measured = pods
    .filter(() => !random.oneIn(10))
    .map(({ name, containers }): readonly [string, PodUsagePlan] => {
      const windowSeconds = random.pick([15, 30]);
      return [
        name,
        {
          windowSeconds,
          containers: containers.map((container) => ({
            name: container.name,
            usage: {
              cpu: milli(vary(random, loads.cpu * (container.isSidecar ? 0.1 : 1))),
              ...(!random.oneIn(30) && { memory: milli(vary(random, loads.memory * (container.isSidecar ? 0.1 : 1))) }),
            },
          })),
        },
      ];
    });
  const stranger: PodUsagePlan = {
    windowSeconds: 15,
    containers: [{ name: taskManager, usage: { cpu: milli(loads.cpu), memory: milli(loads.memory) } }],
  };
  return new Map([...measured, ...(random.oneIn(15) ? [['a-stranger', stranger] as const] : [])]);
}

function vary(random: Random, amount: number): number {
  return random.oneIn(2) ? amount : amount * (0.5 + random.next());
}

function milli(thousandths: number): string {
  return `${Math.round(thousandths)}m`;
}
