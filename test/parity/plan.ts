// What a generated snapshot is about, in few and small choices: fast-check makes a failing one small by making these small.
// build.ts turns them into API objects. The first choice of every list is the dull one, towards which fast-check shrinks.

import fc from 'fast-check';
import { NOTATIONS } from './quantities.ts';

type ValueOf<Arbitrary> = Arbitrary extends fc.Arbitrary<infer Value> ? Value : never;

const choose = fc.constantFrom;

/** One of the others is taken once in `oneIn` times. */
function mostly<const T>(usual: T, oneIn: number, ...others: readonly T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight: oneIn - 1, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

function sometimes<T>(oneIn: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: oneIn - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
}

const notation = fc.integer({ min: 0, max: NOTATIONS - 1 });

/** How much of its target a metric reads, in percent: around the tolerances' edges, far off, and anything. */
const loads = {
  low: fc.oneof(choose(50, 0, 1, 10, 25, 33, 66, 75, 80), fc.integer({ min: 0, max: 88 })),
  near: fc.oneof(choose(100, 89, 90, 91, 95, 99, 101, 105, 109, 110, 111), fc.integer({ min: 85, max: 115 })),
  high: fc.oneof(choose(150, 112, 120, 125, 200, 300, 1000, 10_000), fc.integer({ min: 111, max: 400 })),
};

interface MetricSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: string[];
  }[];
}

const metricSelector: fc.Arbitrary<MetricSelector | undefined> = mostly<MetricSelector | undefined>(
  undefined,
  3,
  {},
  { matchLabels: { queue: 'a' } },
  { matchExpressions: [{ key: 'queue', operator: 'In', values: ['a', 'b'] }] },
  { matchExpressions: [{ key: 'queue', operator: 'NotIn', values: ['a'] }] },
  { matchExpressions: [{ key: 'queue', operator: 'Exists' }] },
  { matchExpressions: [{ key: 'queue', operator: 'DoesNotExist' }] },
  // No selector at all for the controller.
  { matchExpressions: [{ key: 'queue', operator: 'In', values: [] }] },
);

const targetAmount = fc.record({
  /** Thousandths, before a factor that suits the metric. */
  milli: fc.oneof(
    { weight: 5, arbitrary: choose(1000n, 100n, 250n, 500n, 1n, 7n, 333n, 10_000n) },
    { weight: 5, arbitrary: fc.bigInt({ min: 1n, max: 100_000n }) },
    { weight: 1, arbitrary: choose(10n ** 6n, 10n ** 9n, 123_456_789_012n, 10n ** 15n, 10n ** 17n, 2n ** 55n) },
  ),
  notation,
});

const usageTarget = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('Utilization' as const),
      percent: choose(50, 1, 30, 60, 80, 99, 100, 150, 300),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('AverageValue' as const), amount: targetAmount }) },
);

const valueTarget = fc.record({ type: choose('AverageValue' as const, 'Value' as const), amount: targetAmount });

const metricName = choose('requests', 'lag');

const metricArbitraries = {
  Resource: fc.record({
    type: fc.constant('Resource' as const),
    resource: mostly('cpu', 4, 'memory', 'memory', 'ephemeral-storage'),
    target: usageTarget,
  }),
  ContainerResource: fc.record({
    type: fc.constant('ContainerResource' as const),
    resource: mostly('cpu', 4, 'memory'),
    container: mostly('main', 8, 'helper', 'nobody'),
    target: usageTarget,
  }),
  Pods: fc.record({
    type: fc.constant('Pods' as const),
    name: metricName,
    selector: metricSelector,
    amount: targetAmount,
  }),
  Object: fc.record({
    type: fc.constant('Object' as const),
    name: metricName,
    selector: metricSelector,
    object: mostly('deployment', 3, 'ingress', 'service', 'namespace'),
    target: valueTarget,
    isAbsent: mostly(false, 12, true),
    isNegative: mostly(false, 40, true),
  }),
  External: fc.record({
    type: fc.constant('External' as const),
    name: metricName,
    selector: metricSelector,
    target: valueTarget,
    /** Percent of the whole that each series holds, and its label. */
    series: fc.array(fc.record({ share: choose(100, 50, 30, 0), queue: choose('a', 'b', undefined) }), {
      minLength: 0,
      maxLength: 3,
    }),
    isNegative: mostly(false, 40, true),
  }),
  Unknown: fc.record({ type: fc.constant('Unknown' as const), name: choose('Prometheus', 'resource') }),
};

const metric = fc.record({
  source: fc.oneof(
    { weight: 30, arbitrary: metricArbitraries.Resource },
    { weight: 20, arbitrary: metricArbitraries.ContainerResource },
    { weight: 20, arbitrary: metricArbitraries.Pods },
    { weight: 20, arbitrary: metricArbitraries.Object },
    { weight: 20, arbitrary: metricArbitraries.External },
    { weight: 2, arbitrary: metricArbitraries.Unknown },
  ),
  load: fc.record(loads),
  /** A metric that goes its own way, whatever the others do. */
  mood: mostly(undefined, 5, 'low', 'near', 'high'),
});

export type MetricPlan = ValueOf<typeof metric>;

const metricLists: fc.Arbitrary<readonly MetricPlan[]> = fc.oneof(
  { weight: 12, arbitrary: fc.array(metric, { minLength: 1, maxLength: 1 }) },
  { weight: 6, arbitrary: fc.array(metric, { minLength: 2, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant([]) },
);

const age = fc.oneof(
  choose(3600, 0, 1, 9, 10, 11, 29, 30, 31, 119, 120, 121, 299, 300, 301),
  fc.integer({ min: 0, max: 700 }),
);

/** A pod without anything odd. */
const tidyPod = fc.record({
  share: fc.oneof(
    { weight: 2, arbitrary: fc.constant(100) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 300 }) },
  ),
});

const oddPod = fc.record({
  share: choose(100, 0, 50, 200),
  labels: mostly('own' as const, 12, 'foreign', 'partner'),
  phase: mostly('Running', 5, 'Pending', 'Failed', 'Succeeded', 'Unknown'),
  isDeleting: mostly(false, 12, true),
  readiness: mostly('True' as 'True' | 'False' | 'Unknown' | 'absent', 3, 'False', 'False', 'Unknown', 'absent'),
  startAge: sometimes(2, age),
  hasNoStartTime: mostly(false, 15, true),
  /** Seconds from its start to the last change of its readiness. */
  readyAfter: mostly<number | 'a moment ago'>(5, 3, 0, 1, 9, 10, 11, 29, 30, 31, 60, 'a moment ago'),
  requests: mostly('as the others' as const, 25, 'missing', 'zero', 'tiny', 'huge'),
  sample: mostly(
    'whole' as const,
    5,
    'absent',
    'absent',
    'without a container',
    'without a resource',
    'without containers',
    'of a stranger',
  ),
  sampleAge: mostly<number>(10, 3, 0, 15, 59, 60, 61, 600, 86_400),
  window: mostly('30s', 4, '0s', '15s', '1m0s', '1m30.5s', '15.019s', '500ms', '1h0m0s'),
});

export type PodPlan = ValueOf<typeof tidyPod> & Partial<Omit<ValueOf<typeof oddPod>, 'share'>>;

const mixedPod: fc.Arbitrary<PodPlan> = fc.oneof({ weight: 2, arbitrary: tidyPod }, { weight: 1, arbitrary: oddPod });

const podLists: fc.Arbitrary<readonly PodPlan[]> = fc.oneof(
  { weight: 3, arbitrary: fc.array(tidyPod, { minLength: 1, maxLength: 6 }) },
  { weight: 4, arbitrary: fc.array(mixedPod, { maxLength: 6 }) },
);

const template = fc.record({
  cpu: fc.oneof(choose(1000n, 100n, 250n, 1n, 1500n, 333n), fc.bigInt({ min: 1n, max: 64_000n })),
  memory: fc.oneof(
    choose(1n << 30n, 1000n, 1n << 20n, 123_456_789n, 1_000_000_000_000n),
    fc.bigInt({ min: 1n, max: 1n << 40n }),
  ),
  notation,
  containers: choose(['main'], ['main', 'helper'], ['main', 'helper', 'third']),
  initContainers: mostly('none' as const, 6, 'sidecar', 'sidecar without a request', 'ordinary', 'ordinary, larger'),
  podLevel: mostly('none' as const, 8, 'cpu and memory', 'cpu', 'memory', 'empty'),
  overhead: mostly(false, 30, true),
});

const policy = fc.record({
  type: choose('Pods', 'Percent'),
  value: fc.oneof(choose(4, 1, 2, 10, 12, 50, 80, 90, 100, 900), fc.integer({ min: 1, max: 10_000 })),
  periodSeconds: choose(15, 1, 14, 16, 30, 60, 1800),
});

const rules = fc.record({
  stabilizationWindowSeconds: sometimes(2, choose(0, 1, 14, 15, 16, 30, 60, 299, 300, 301, 3600)),
  policies: sometimes(2, fc.array(policy, { minLength: 1, maxLength: 3 })),
  selectPolicy: mostly(undefined, 3, 'Max', 'Min', 'Disabled'),
  tolerance: mostly(undefined, 3, '0', '0.1', '50m', '0.2', '500m', '2', '0.035', '0.0005', '333333u'),
});

const behavior = fc.record({ scaleUp: sometimes(2, rules), scaleDown: sometimes(2, rules) });

const recommendations = fc.record({
  /** From the oldest to the newest: what was recommended, relative to the current size, and for how long. */
  entries: fc.array(
    fc.record({
      difference: fc.oneof(fc.integer({ min: -3, max: 3 }), choose(0, -20, 20, -1000)),
      ticks: mostly(1, 2, 0, 2, 4, 19, 20, 21, 241),
      gapTicks: mostly(1, 6, 2, 20, 100),
    }),
    { minLength: 0, maxLength: 4 },
  ),
  isOpen: fc.boolean(),
  /** Seconds by which the ticks are late, on an irregular day. */
  lag: mostly(0, 5, 1, 5, 14),
});

const scaleEvents = fc.array(
  fc.record({
    change: fc.oneof(choose(1, -1, 2, -2, 4, -4, 10, -10), fc.integer({ min: 1, max: 100 })),
    age: choose(20, 0, 1, 5, 14, 15, 16, 29, 30, 59, 60, 61, 1799, 1800, 3000),
  }),
  { maxLength: 4 },
);

const condition = fc.record({
  type: choose('AbleToScale', 'ScalingActive', 'ScalingLimited', 'ScaledToZero', 'SomethingElse'),
  status: choose('True', 'False', 'Unknown'),
});

const conditionLists: fc.Arbitrary<readonly ValueOf<typeof condition>[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant([]) },
  { weight: 3, arbitrary: fc.uniqueArray(condition, { maxLength: 5, selector: ({ type }) => type }) },
);

const settings = fc.record({
  tolerance: mostly<number | undefined>(undefined, 4, 0, 0.05, 0.1, 0.2, 0.5, 1, 1.5),
  cpuInitializationPeriodSeconds: mostly<number | undefined>(undefined, 3, 0, 10, 120, 300),
  initialReadinessDelaySeconds: mostly<number | undefined>(undefined, 3, 0, 10, 30, 60),
  downscaleStabilizationSeconds: mostly<number | undefined>(undefined, 3, 0, 1, 15, 60, 300, 900),
  syncPeriodSeconds: mostly<number | undefined>(undefined, 6, 1, 5, 10, 15, 30),
  scaleUpLimitFactor: mostly<number | undefined>(undefined, 40, 1, 2, 8),
  scaleUpLimitMinimum: mostly<number | undefined>(undefined, 40, 1, 4, 100),
});

const failureText = 'the server is currently unable to handle the request';
const failure = (oneIn: number) => mostly(undefined, oneIn, failureText);

export const plans = fc.record({
  // 2001 to 2038.
  nowSeconds: fc.integer({ min: 978_307_200, max: 2_147_000_000 }),
  nowMilliseconds: mostly(0, 6, 1, 500, 999),
  form: mostly('autoscaling/v2' as const, 5, 'autoscaling/v1', 'FlinkAutoscaler'),
  scene: mostly('any' as const, 7, 'to zero', 'from zero', 'held', 'sudden rest'),
  mood: choose('near', 'low', 'high'),

  settings,
  metrics: metricLists,
  behavior: sometimes(2, behavior),

  /** Relative to the number of pods. */
  sizeDifference: mostly<number | 'zero'>(0, 4, -1, 1, 2, 5, 90, 20_000, 'zero', 'zero'),
  /** What the scale's status counts, relative to its spec. */
  statusDifference: mostly<number | 'zero'>(0, 5, -1, 1, 3, 'zero'),
  /** Relative to the current size. */
  minDifference: mostly<number | undefined>(undefined, 2, -1, 0, 0, 1, -2, -100),
  isMinZero: mostly(false, 12, true),
  maxDifference: mostly(10, 2, 0, 1, 2, 3, 100, -1, 100_000),
  isScaleThere: mostly(true, 150, false),

  selector: mostly(
    'app=web',
    8,
    'app=web,tier in (a,b)',
    'app',
    'app!=other',
    'app=web',
    '',
    'app==(',
    'app=nobody',
    '!zone,app=web',
  ),
  template,
  pods: podLists,
  strangers: mostly(0, 8, 1, 2),

  recommendations: fc.oneof(
    { weight: 2, arbitrary: fc.constant(undefined) },
    { weight: 4, arbitrary: recommendations },
  ),
  scaleEvents: sometimes(3, scaleEvents),
  conditions: conditionLists,
  otherAutoscalers: sometimes(
    10,
    fc.array(
      fc.record({
        selector: choose('app=web', 'app=other', 'tier=b', '', 'app==('),
        namespace: mostly('shop', 6, 'elsewhere'),
      }),
      { minLength: 1, maxLength: 2 },
    ),
  ),
  // Not of pods: the real controller reads them from a cache of its own, which never fails.
  failures: fc.record({
    scale: failure(100),
    podMetrics: failure(40),
    customMetrics: failure(40),
    externalMetrics: failure(40),
    scaleWrite: failure(30),
  }),
});

export type Plan = ValueOf<typeof plans>;
export type TemplatePlan = ValueOf<typeof template>;
export type AmountPlan = ValueOf<typeof targetAmount>;
export type RulesPlan = ValueOf<typeof rules>;
