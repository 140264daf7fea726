import { describe, expect, it } from 'vitest';
import { type DecisionInput, decide, decideInvalid, failRescale } from '../../shared/scaling/decide.ts';
import type {
  AutoscalerStatus,
  Behavior,
  Decision,
  ExternalMetricSpec,
  Observation,
  UnsupportedMetricSpec,
} from '../../shared/scaling/types.ts';
import {
  aCondition,
  anAutoscalerSpec,
  anObservation,
  aPod,
  aResourceMetric,
  aScale,
  aStatus,
  NOW,
  seconds,
  somePods,
  someSamples,
} from '../support/builders.ts';

function anInput(overrides: Partial<DecisionInput> = {}): DecisionInput {
  return { spec: anAutoscalerSpec(), observation: anObservation(), status: aStatus(), now: NOW, ...overrides };
}

/** A metric that no Headrace knows, and what is read of it. */
const CHEESE: UnsupportedMetricSpec = {
  type: 'Unsupported',
  name: 'CheddarCheese',
  reason: 'InvalidMetricSourceType',
  message: 'unknown metric source type "CheddarCheese"',
};
const NO_CHEESE = { unreadable: CHEESE.message };
const CPU = aResourceMetric();

interface Row {
  readonly name: string;
  readonly spec?: Parameters<typeof anAutoscalerSpec>[0];
  readonly observation?: Parameters<typeof anObservation>[0];
  /** "new": no tick has been yet, so there is no history at all. */
  readonly status?: Partial<AutoscalerStatus> | 'new';
  /** "type status reason", in order. */
  readonly conditions: readonly string[];
  readonly reason: string;
  readonly message: string;
  /** The size that is decided; undefined where not even the current one is known. */
  readonly size: number | undefined;
  readonly rescale: boolean;
  /** Absent: no error. */
  readonly error?: string;
}

const READ = 'AbleToScale True SucceededGetScale';
const READY = 'AbleToScale True ReadyForNewScale';
const STABILIZED = 'AbleToScale True ScaleDownStabilized';
const RESCALED = 'AbleToScale True SucceededRescale';
const NOT_ZERO = 'ScaledToZero False NotScaledToZero';
const ACTIVE = 'ScalingActive True ValidMetricFound';
const UNLIMITED = 'ScalingLimited False DesiredWithinRange';
const COMPUTE = 'Headrace was unable to compute the replica count: ';
const CPU_FAILED = 'failed to get cpu utilization: ';

/** A decision that failed in its metrics. */
function failing(cause: string, invalid = '1 invalid out of 1') {
  return {
    conditions: [READ, 'ScalingActive False FailedGetResourceMetric'],
    reason: 'FailedGetResourceMetric',
    message: `${COMPUTE}${CPU_FAILED}${cause}`,
    error: `invalid metrics (${invalid}), first error is: ${CPU_FAILED}${cause}`,
    size: 2,
    rescale: false,
  };
}

const standsStill: Row[] = [
  {
    name: 'a target that cannot be read',
    observation: { scale: { unreadable: 'GET /scale: 503' } },
    conditions: ['AbleToScale False FailedGetScale'],
    reason: 'FailedGetScale',
    message: "Headrace was unable to get the target's current scale: GET /scale: 503",
    error: "Headrace was unable to get the target's current scale: GET /scale: 503",
    size: undefined,
    rescale: false,
  },
  {
    name: 'a target without a selector',
    observation: {
      scale: { value: aScale({ selector: '', selectorFault: "the target's scale is missing a selector" }) },
    },
    conditions: [READ, 'ScalingActive False InvalidSelector'],
    reason: 'InvalidSelector',
    message: "the target's scale is missing a selector",
    error: "the target's scale is missing a selector",
    size: 2,
    rescale: false,
  },
  {
    name: 'a target that others scale too',
    observation: { rivals: { value: ['HorizontalPodAutoscaler orders', 'FlinkAutoscaler copy'] }, cpuPercent: 80 },
    conditions: [READ, 'ScalingActive False AmbiguousSelector'],
    reason: 'AmbiguousSelector',
    message:
      'FlinkApplication orders is also the target of HorizontalPodAutoscaler orders, FlinkAutoscaler copy: remove one of them',
    error:
      'FlinkApplication orders is also the target of HorizontalPodAutoscaler orders, FlinkAutoscaler copy: remove one of them',
    size: 2,
    rescale: false,
  },
  {
    name: 'rivals that cannot be read',
    observation: { rivals: { unreadable: '403 Forbidden' }, cpuPercent: 80 },
    conditions: [READ, 'ScalingActive False FailedGetAutoscalers'],
    reason: 'FailedGetAutoscalers',
    message: 'unable to tell whether another autoscaler has the same target: 403 Forbidden',
    error: 'unable to tell whether another autoscaler has the same target: 403 Forbidden',
    size: 2,
    rescale: false,
  },
  {
    name: 'a rival, though the size is out of bounds',
    observation: { rivals: { value: ['HorizontalPodAutoscaler orders'] }, replicas: 20 },
    conditions: [READ, 'ScalingActive False AmbiguousSelector'],
    reason: 'AmbiguousSelector',
    message: 'FlinkApplication orders is also the target of HorizontalPodAutoscaler orders: remove one of them',
    error: 'FlinkApplication orders is also the target of HorizontalPodAutoscaler orders: remove one of them',
    size: 20,
    rescale: false,
  },
  {
    name: 'a target of size 0',
    observation: { replicas: 0 },
    conditions: [READ, 'ScalingActive False ScalingDisabled'],
    reason: 'ScalingDisabled',
    message: 'scaling is disabled since the replica count of the target is zero',
    size: 0,
    rescale: false,
  },
  {
    name: 'mode Off',
    spec: { mode: 'Off' },
    observation: { cpuPercent: 80 },
    conditions: ['ScalingActive False ScalingDisabled'],
    reason: 'ScalingDisabled',
    message: 'scaling is disabled: spec.mode is Off',
    size: undefined,
    rescale: false,
  },
];

const cannotCompute: Row[] = [
  {
    name: 'metrics that cannot be read',
    observation: { metrics: [{ unreadable: 'GET /pods: 503' }] },
    ...failing('unable to get metrics for resource cpu: GET /pods: 503'),
  },
  {
    name: 'a metric that was not asked for',
    observation: { metrics: [] },
    ...failing('unable to get metrics for resource cpu: the metric was not read'),
  },
  {
    name: 'no samples',
    observation: { metrics: [{ value: [] }] },
    ...failing('unable to get metrics for resource cpu: no metrics returned from resource metrics API'),
  },
  {
    name: 'stale samples',
    observation: { metrics: [{ value: someSamples(2, 800n, { time: NOW - seconds(181) }) }] },
    ...failing('unable to get metrics for resource cpu: 2 of 2 samples are older than 180 s (maxSampleAgeSeconds)'),
  },
  {
    name: 'pods that cannot be read',
    observation: { pods: { unreadable: 'GET /pods: 503' } },
    ...failing('unable to get pods while calculating replica count: GET /pods: 503'),
  },
  {
    name: 'no pods',
    observation: { pods: { value: [] } },
    ...failing('no pods returned by selector while calculating replica count'),
  },
  {
    name: 'pods that are all unready',
    observation: {
      pods: {
        value: somePods(2, {
          startTime: NOW - seconds(60),
          ready: { status: 'False', lastTransitionTime: NOW - seconds(60) },
        }),
      },
    },
    ...failing('did not receive metrics for targeted pods (pods might be unready)'),
  },
  {
    name: 'a missing request',
    observation: {
      pods: { value: [aPod(), aPod({ name: 'orders-1', containers: [{ name: 'main', requestsMilli: {} }] })] },
    },
    ...failing('missing request for cpu in container main of Pod orders-1'),
  },
  {
    name: 'an unsupported metric alone',
    spec: { metrics: [CHEESE] },
    observation: { metrics: [NO_CHEESE] },
    conditions: [READ, 'ScalingActive False InvalidMetricSourceType'],
    reason: 'InvalidMetricSourceType',
    message: `${COMPUTE}unknown metric source type "CheddarCheese"`,
    error: 'invalid metrics (1 invalid out of 1), first error is: unknown metric source type "CheddarCheese"',
    size: 2,
    rescale: false,
  },
  {
    name: 'an unsupported metric beside one that would shrink',
    spec: { metrics: [CPU, CHEESE] },
    observation: { cpuPercent: 10, metrics: [{ value: someSamples(2, 100n) }, NO_CHEESE] },
    conditions: [READ, 'ScalingActive False InvalidMetricSourceType'],
    reason: 'InvalidMetricSourceType',
    message: `${COMPUTE}unknown metric source type "CheddarCheese"`,
    error: 'invalid metrics (1 invalid out of 2), first error is: unknown metric source type "CheddarCheese"',
    size: 2,
    rescale: false,
  },
];

const computes: Row[] = [
  {
    name: 'a ratio within tolerance',
    observation: { cpuPercent: 42 },
    conditions: [READY, ACTIVE, UNLIMITED],
    reason: 'ReadyForNewScale',
    message: 'stays at 2: cpu 42%/40%: within the tolerance of 10 %',
    size: 2,
    rescale: false,
  },
  {
    name: 'usage above target',
    observation: { cpuPercent: 80 },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
    size: 4,
    rescale: true,
  },
  {
    name: 'usage below target, and nothing larger recommended lately',
    observation: { replicas: 4, cpuPercent: 20 },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 4 to 2: cpu 20%/40%: ceil(4 × 20/40) = 2',
    size: 2,
    rescale: true,
  },
  {
    name: 'usage below target, and a larger size recommended a minute ago',
    observation: { replicas: 4, cpuPercent: 20 },
    status: { recommendations: [{ replicas: 4, from: NOW - seconds(90), until: NOW - seconds(60) }] },
    conditions: [STABILIZED, ACTIVE, UNLIMITED],
    reason: 'ScaleDownStabilized',
    message: 'stays at 4: cpu 20%/40%: ceil(4 × 20/40) = 2; the largest recommendation of the last 300 s is 4',
    size: 4,
    rescale: false,
  },
  {
    name: 'usage below target, and a size between the two recommended a minute ago',
    observation: { replicas: 4, cpuPercent: 20 },
    status: { recommendations: [{ replicas: 3, from: NOW - seconds(90), until: NOW - seconds(60) }] },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 4 to 3: cpu 20%/40%: ceil(4 × 20/40) = 2; the largest recommendation of the last 300 s is 3',
    size: 3,
    rescale: true,
  },
  {
    name: 'usage below target for the first time ever',
    observation: { replicas: 4, cpuPercent: 20 },
    status: 'new',
    conditions: [STABILIZED, ACTIVE, UNLIMITED],
    reason: 'ScaleDownStabilized',
    message: 'stays at 4: cpu 20%/40%: ceil(4 × 20/40) = 2; the largest recommendation of the last 300 s is 4',
    size: 4,
    rescale: false,
  },
  {
    name: 'usage far above target',
    observation: { replicas: 3, cpuPercent: 120 },
    conditions: [RESCALED, ACTIVE, 'ScalingLimited True ScaleUpLimit', NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 3 to 6: cpu 120%/40%: ceil(3 × 120/40) = 9; limited to 6 (ScaleUpLimit)',
    size: 6,
    rescale: true,
  },
  {
    name: 'usage that asks for more than the maximum',
    observation: { replicas: 8, cpuPercent: 80 },
    conditions: [RESCALED, ACTIVE, 'ScalingLimited True TooManyReplicas', NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 8 to 10: cpu 80%/40%: ceil(8 × 80/40) = 16; limited to 10 (TooManyReplicas)',
    size: 10,
    rescale: true,
  },
  {
    name: 'usage that asks for more than the maximum, which is the size',
    observation: { replicas: 10, cpuPercent: 80 },
    conditions: [READY, ACTIVE, 'ScalingLimited True TooManyReplicas'],
    reason: 'ReadyForNewScale',
    message: 'stays at 10: cpu 80%/40%: ceil(10 × 80/40) = 20; limited to 10 (TooManyReplicas)',
    size: 10,
    rescale: false,
  },
  {
    name: 'usage that asks for less than the minimum',
    spec: { minReplicas: 3 },
    observation: { replicas: 4, cpuPercent: 10 },
    conditions: [RESCALED, ACTIVE, 'ScalingLimited True TooFewReplicas', NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 4 to 3: cpu 10%/40%: ceil(4 × 10/40) = 1; limited to 3 (TooFewReplicas)',
    size: 3,
    rescale: true,
  },
  {
    name: 'no usage at all',
    observation: { replicas: 4, cpuPercent: 0 },
    conditions: [RESCALED, ACTIVE, 'ScalingLimited True TooFewReplicas', NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 4 to 1: cpu 0%/40%: ceil(4 × 0/40) = 0; limited to 1 (TooFewReplicas)',
    size: 1,
    rescale: true,
  },
  {
    name: 'a size above the maximum, though nothing can be read',
    observation: { replicas: 20, metrics: [{ unreadable: 'timed out' }] },
    conditions: [RESCALED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 20 to 10: Current number of replicas above Spec.MaxReplicas',
    size: 10,
    rescale: true,
  },
  {
    name: 'a size below the minimum, though the selector is wrong',
    spec: { minReplicas: 5 },
    observation: { scale: { value: aScale({ replicas: 2, selector: '', selectorFault: 'no selector' }) } },
    conditions: [RESCALED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 2 to 5: Current number of replicas below Spec.MinReplicas',
    size: 5,
    rescale: true,
  },
  {
    name: 'an unsupported metric beside one that grows',
    spec: { metrics: [CHEESE, CPU] },
    observation: { metrics: [NO_CHEESE, { value: someSamples(2, 800n) }] },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
    error: 'invalid metrics (1 invalid out of 2), first error is: unknown metric source type "CheddarCheese"',
    size: 4,
    rescale: true,
  },
  {
    name: 'an unsupported metric beside one that is on target',
    spec: { metrics: [CPU, CHEESE] },
    observation: { metrics: [{ value: someSamples(2, 400n) }, NO_CHEESE] },
    conditions: [READY, ACTIVE, UNLIMITED],
    reason: 'ReadyForNewScale',
    message: 'stays at 2: cpu 40%/40%: within the tolerance of 10 %',
    error: 'invalid metrics (1 invalid out of 2), first error is: unknown metric source type "CheddarCheese"',
    size: 2,
    rescale: false,
  },
  {
    name: 'two metrics of which the second asks for more',
    spec: {
      metrics: [
        CPU,
        aResourceMetric({ resource: 'memory', target: { type: 'AverageValue', averageValueMilli: 1000n } }),
      ],
    },
    observation: { metrics: [{ value: someSamples(2, 600n) }, { value: someSamples(2, 2000n) }] },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 2 to 4: memory 2/1: ceil(2 × 2/1) = 4',
    size: 4,
    rescale: true,
  },
];

const holdsBack: Row[] = [
  {
    name: 'mode Advise',
    spec: { mode: 'Advise' },
    observation: { cpuPercent: 80 },
    conditions: [READY, ACTIVE, UNLIMITED, 'Paused True ModeAdvise'],
    reason: 'ModeAdvise',
    message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4; not done: spec.mode is Advise',
    size: 4,
    rescale: false,
  },
  {
    name: 'mode Advise, with a size above the maximum',
    spec: { mode: 'Advise' },
    observation: { replicas: 20 },
    conditions: [READ, 'Paused True ModeAdvise'],
    reason: 'ModeAdvise',
    message: 'scales from 20 to 10: Current number of replicas above Spec.MaxReplicas; not done: spec.mode is Advise',
    size: 10,
    rescale: false,
  },
  {
    name: 'a pause of growing',
    spec: { pause: { scaleUp: true } },
    observation: { cpuPercent: 80 },
    conditions: [READY, ACTIVE, UNLIMITED, 'Paused True ScaleUpPaused'],
    reason: 'ScaleUpPaused',
    message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4; not done: spec.pause.scaleUp is true',
    size: 4,
    rescale: false,
  },
  {
    name: 'a pause of growing, while shrinking',
    spec: { pause: { scaleUp: true } },
    observation: { replicas: 4, cpuPercent: 20 },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 4 to 2: cpu 20%/40%: ceil(4 × 20/40) = 2',
    size: 2,
    rescale: true,
  },
  {
    name: 'a pause of shrinking',
    spec: { pause: { scaleDown: true } },
    observation: { replicas: 4, cpuPercent: 20 },
    conditions: [READY, ACTIVE, UNLIMITED, 'Paused True ScaleDownPaused'],
    reason: 'ScaleDownPaused',
    message: 'scales from 4 to 2: cpu 20%/40%: ceil(4 × 20/40) = 2; not done: spec.pause.scaleDown is true',
    size: 2,
    rescale: false,
  },
  {
    name: 'a pause of shrinking, while growing',
    spec: { pause: { scaleDown: true } },
    observation: { cpuPercent: 80 },
    conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    reason: 'SuccessfulRescale',
    message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
    size: 4,
    rescale: true,
  },
];

type Situation = Pick<Row, 'spec' | 'observation' | 'status'>;

/** Two pods at twice the wanted usage. */
const GROWING: Situation = { observation: { cpuPercent: 80 } };

function run({ spec, observation, status = {} }: Situation): Decision {
  return decide(
    anInput({
      spec: anAutoscalerSpec(spec),
      observation: anObservation(observation),
      status: status === 'new' ? { conditions: [], scaleEvents: [] } : aStatus(status),
    }),
  );
}

function expectRow(row: Row): void {
  const decision = run(row);

  expect(shown(decision)).toEqual({
    conditions: row.conditions,
    reason: row.reason,
    message: row.message,
    size: row.size,
    rescale: row.rescale,
    error: row.error,
  });
}

function shown({ status, reason, message, desiredReplicas, rescale, error }: Decision) {
  return {
    conditions: status.conditions.map((condition) => `${condition.type} ${condition.status} ${condition.reason}`),
    reason,
    message,
    size: desiredReplicas,
    rescale,
    error,
  };
}

describe('what stands in the way', () => {
  it.each(standsStill)('keeps the size with $name', expectRow);

  it.each([
    '',
    'New',
    'Updating',
    'ClusterStarting',
    'SubmittingJob',
    'Savepointing',
    'Cancelling',
    'Recovering',
    'RollingBackJob',
    'Deleting',
  ])('keeps the size in phase "%s", without calling it an error', (phase) => {
    const message = `FlinkApplication orders is being deployed (phase ${phase || 'New'}): its size is left alone until it runs`;

    expectRow({
      name: phase,
      observation: { phase, cpuPercent: 80 },
      conditions: [READ, 'ScalingActive False DeploymentInProgress'],
      reason: 'DeploymentInProgress',
      message,
      size: 2,
      rescale: false,
    });
  });

  it('leaves a suspended application alone, and says so', () => {
    expectRow({
      name: 'Suspended',
      observation: { phase: 'Suspended', cpuPercent: 80 },
      conditions: [READ, 'ScalingActive False TargetSuspended'],
      reason: 'TargetSuspended',
      message: 'FlinkApplication orders is suspended: its replicas are left alone until spec.suspend is false',
      size: 2,
      rescale: false,
    });
  });

  it.each(['Running', 'DeployFailed'])('scales in phase %s', (phase) => {
    const decision = run({ observation: { phase, cpuPercent: 80 } });

    expect(decision.rescale).toBe(true);
  });

  it('scales a target of another kind, which has no phase', () => {
    const { phase: _, ...observation } = anObservation({ cpuPercent: 80 });

    expect(decide(anInput({ observation })).rescale).toBe(true);
  });
});

describe('what cannot be computed', () => {
  it.each(cannotCompute)('keeps the size with $name', expectRow);
});

describe('what is computed', () => {
  it.each(computes)('answers $name', expectRow);
});

describe('what is held back', () => {
  it.each(holdsBack)('answers $name', expectRow);

  it('holds nothing back where nothing is to change', () => {
    const pause = { scaleUp: true, scaleDown: true };

    expect(shown(run({ spec: { pause } }))).toMatchObject({
      conditions: [READY, ACTIVE, UNLIMITED],
      reason: 'ReadyForNewScale',
    });
    expect(shown(run({ spec: { mode: 'Advise' } }))).toMatchObject({
      conditions: [READY, ACTIVE, UNLIMITED, 'Paused True ModeAdvise'],
      reason: 'ReadyForNewScale',
      message: 'stays at 2: cpu 40%/40%: within the tolerance of 10 %',
    });
  });

  it('says when the pause is over', () => {
    const paused = run({ ...GROWING, spec: { pause: { scaleUp: true } } });

    const resumed = decide(anInput({ observation: anObservation({ cpuPercent: 80 }), status: paused.status }));

    expect(shown(resumed).conditions).toEqual([RESCALED, ACTIVE, UNLIMITED, 'Paused False NotPaused', NOT_ZERO]);
  });
});

describe('a spec that cannot be read', () => {
  it('is told in a condition, and leaves everything else as it was', () => {
    const before = aStatus({ desiredReplicas: 3, conditions: [aCondition()] });
    const fault = 'spec.maxReplicas: must be greater than or equal to minReplicas';

    const decision = decideInvalid({ status: before, generation: 7, fault, now: NOW });

    expect(decision).toMatchObject({ rescale: false, reason: 'InvalidSpec', message: fault, error: fault });
    expect(decision.status).toMatchObject({ ...before, observedGeneration: 7, conditions: expect.anything() });
    expect(shown(decision).conditions).toEqual([READY, 'ScalingActive False InvalidSpec']);
    expect(decision.events).toEqual([{ type: 'Warning', reason: 'InvalidSpec', message: fault }]);
    expect(decision.status.lastDecision).toEqual({
      time: NOW,
      currentReplicas: 0,
      desiredReplicas: 0,
      reason: 'InvalidSpec',
      message: fault,
    });
  });
});

describe('events', () => {
  const GROWN = 'cpu 80%/40%: ceil(2 × 80/40) = 4';
  const UNREAD = `${CPU_FAILED}unable to get metrics for resource cpu: timed out`;
  const warning = (reason: string, message: string) => ({ type: 'Warning', reason, message });
  const rescaled = (message: string) => ({ type: 'Normal', reason: 'SuccessfulRescale', message });
  const withoutPick = (selector: string) => ({ scale: { value: aScale({ selector, selectorFault: 'no pods' }) } });

  it.each<[string, Situation, object[]]>([
    [
      'growing tells of the metric that asks for it',
      GROWING,
      [rescaled(`New size: 4; reason: cpu resource utilization (percentage of request) above target (${GROWN})`)],
    ],
    [
      'shrinking tells that no metric asks for more',
      { observation: { replicas: 4, cpuPercent: 20 } },
      [rescaled('New size: 2; reason: All metrics below target (cpu 20%/40%: ceil(4 × 20/40) = 2)')],
    ],
    [
      'a size that only the past asks for has no reason, as with the HPA',
      {
        observation: { replicas: 4 },
        status: { recommendations: [{ replicas: 5, from: NOW - seconds(60), until: NOW - seconds(60) }] },
      },
      [
        rescaled(
          'New size: 5; reason:  (cpu 40%/40%: within the tolerance of 10 %; the largest recommendation of the last 300 s is 5)',
        ),
      ],
    ],
    [
      'a size out of bounds is told once',
      { observation: { replicas: 20 } },
      [rescaled('New size: 10; reason: Current number of replicas above Spec.MaxReplicas')],
    ],
    ['staying is not told', {}, []],
    ['what is held back is not told', { ...GROWING, spec: { mode: 'Advise' } }, []],
    ['an obstacle that passes by itself is not told', { observation: { phase: 'Updating' } }, []],
    [
      'a missing selector is told in a word of its own',
      { observation: withoutPick('') },
      [warning('SelectorRequired', 'no pods')],
    ],
    [
      'a selector that cannot be read is told',
      { observation: withoutPick('a==(') },
      [warning('InvalidSelector', 'no pods')],
    ],
    [
      'each metric that failed is told, and that nothing could be computed',
      { spec: { metrics: [CPU, CHEESE] }, observation: { metrics: [{ unreadable: 'timed out' }, NO_CHEESE] } },
      [
        warning('FailedGetResourceMetric', UNREAD),
        warning(CHEESE.reason, CHEESE.message),
        warning('FailedComputeMetricsReplicas', `invalid metrics (2 invalid out of 2), first error is: ${UNREAD}`),
      ],
    ],
    [
      'a metric that failed beside one that grows is told before the new size',
      { spec: { metrics: [CPU, CHEESE] }, observation: { metrics: [{ value: someSamples(2, 800n) }, NO_CHEESE] } },
      [
        warning(CHEESE.reason, CHEESE.message),
        rescaled(`New size: 4; reason: cpu resource utilization (percentage of request) above target (${GROWN})`),
      ],
    ],
  ])('%s', (_, situation, expected) => {
    expect(run(situation).events).toEqual(expected);
  });
});

describe('several metrics', () => {
  const lag = (name: string): ExternalMetricSpec => ({
    type: 'External',
    metric: { name, labelSelector: '' },
    target: { type: 'AverageValue', averageValueMilli: 1000n },
  });
  const measured = (...valuesMilli: readonly bigint[]): Situation => ({
    spec: { minReplicas: 0, metrics: valuesMilli.map((_, index) => lag('abc'.charAt(index))) },
    observation: { metrics: valuesMilli.map((valueMilli) => ({ value: [{ valueMilli, time: NOW }] })) },
  });
  const active = (situation: Situation) =>
    run(situation).status.conditions.find(({ type }) => type === 'ScalingActive');

  it('follow the first of those that ask for the most', () => {
    expect(active(measured(1000n, 4000n, 4000n))?.message).toBe(
      'the replica count was calculated from external metric b',
    );
  });

  it('follow any other one where the first asks for none, even one below zero, as with the HPA', () => {
    expect(active(measured(0n, -4000n))?.message).toBe('the replica count was calculated from external metric b');
  });

  it('ask for no less than none', () => {
    const decision = run(measured(-4000n));

    expect(shown(decision).conditions).toEqual([RESCALED, ACTIVE, UNLIMITED, 'ScaledToZero True ScaledToZero']);
    expect(decision.desiredReplicas).toBe(0);
  });
});

describe('scaling to zero and back', () => {
  const LAG: ExternalMetricSpec = {
    type: 'External',
    metric: { name: 'lag', labelSelector: '' },
    target: { type: 'AverageValue', averageValueMilli: 1000n },
  };
  const scaledToZero = { conditions: [aCondition({ type: 'ScaledToZero', reason: 'ScaledToZero' })] };
  const reading = (valueMilli: bigint) => ({ metrics: [{ value: [{ valueMilli, time: NOW }] }] });

  it('grows again from a size of 0 that it chose itself', () => {
    const spec = { minReplicas: 0, metrics: [LAG] };

    expect(run({ spec, observation: { replicas: 0, ...reading(2000n) }, status: scaledToZero })).toMatchObject({
      rescale: true,
      desiredReplicas: 2,
    });
  });

  it('grows at once to a minimum that was raised meanwhile', () => {
    const spec = { minReplicas: 7, metrics: [LAG] };

    expect(run({ spec, observation: { replicas: 0, ...reading(1000n) }, status: scaledToZero })).toMatchObject({
      rescale: true,
      desiredReplicas: 7,
    });
  });

  it('stays at 0 where no metric can be measured there', () => {
    const spec = { minReplicas: 0 };

    expect(run({ spec, observation: { replicas: 0 }, status: scaledToZero })).toMatchObject({
      rescale: false,
      reason: 'ScalingDisabled',
      status: { desiredReplicas: 0 },
    });
  });

  it('counts a metric that it cannot read by its name', () => {
    const broken: UnsupportedMetricSpec = { ...CHEESE, name: 'External' };
    const spec = { minReplicas: 0, metrics: [broken] };

    expect(run({ spec, observation: { replicas: 0, metrics: [NO_CHEESE] }, status: scaledToZero }).reason).toBe(
      CHEESE.reason,
    );
  });

  it('leaves a size of 0 that a person chose', () => {
    const spec = { minReplicas: 0, metrics: [LAG] };
    const status = { desiredReplicas: 3, conditions: [aCondition({ type: 'ScaledToZero', status: 'False' })] };

    expect(run({ spec, observation: { replicas: 0, ...reading(2000n) }, status })).toMatchObject({
      rescale: false,
      reason: 'ScalingDisabled',
      status: { desiredReplicas: 0 },
    });
  });

  it('takes no credit for a 0 that no metric could bring back', () => {
    const decision = run({ spec: { minReplicas: 0 }, observation: { cpuPercent: 0 } });

    expect(shown(decision)).toMatchObject({
      size: 0,
      rescale: true,
      conditions: [RESCALED, ACTIVE, UNLIMITED, NOT_ZERO],
    });
  });
});

describe('behavior', () => {
  const rules = { selectPolicy: 'Max', policies: [{ type: 'Pods', value: 20, periodSeconds: 15 }] } as const;
  const windows = (up: number, down?: number): Behavior => ({
    scaleUp: { ...rules, stabilizationWindowSeconds: up },
    scaleDown: { ...rules, ...(down !== undefined && { stabilizationWindowSeconds: down }) },
  });
  const ended = (replicas: number, age: number) => ({ replicas, from: NOW - age, until: NOW - age });

  it.each<[string, Behavior, number, string]>([
    ['a smaller one while growing', windows(60), 80, 'held at 3 by the recommendations of the last 60 s'],
    ['a larger one while shrinking', windows(0, 90), 0, 'held at 3 by the recommendations of the last 90 s'],
    [
      'a larger one, by the window of the settings',
      windows(0),
      0,
      'held at 3 by the recommendations of the last 300 s',
    ],
  ])('tells that a recommendation holds the size: %s', (_, behavior, cpuPercent, sentence) => {
    const replicas = cpuPercent === 0 ? 4 : 2;
    const status = { recommendations: [ended(3, seconds(30))] };

    expect(run({ spec: { behavior }, observation: { replicas, cpuPercent }, status }).message).toContain(sentence);
  });

  it.each<[string, Behavior, number]>([
    ['of growing', windows(600, 60), 600],
    ['of shrinking', windows(60, 600), 600],
    ['of the settings', windows(60), 300],
  ])('remembers what was recommended for as long as the longer window: %s', (_, behavior, longest) => {
    const kept = ended(3, seconds(longest));
    const status = { recommendations: [ended(8, seconds(longest) + 1), kept] };

    expect(run({ spec: { behavior }, status }).status.recommendations).toEqual([kept, { replicas: 2, from: NOW }]);
  });

  it('remembers nothing where no window looks back', () => {
    const spec = { behavior: { scaleUp: rules, scaleDown: { ...rules, stabilizationWindowSeconds: 0 } } };

    expect(run({ spec, status: { recommendations: [ended(8, 1)] } }).status.recommendations).toEqual([
      { replicas: 2, from: NOW },
    ]);
  });
});

describe('conditions', () => {
  const earlier = NOW - seconds(600);
  const settled = aStatus({
    conditions: [
      aCondition({ type: 'AbleToScale', lastTransitionTime: earlier }),
      aCondition({ type: 'ScalingActive', reason: 'ValidMetricFound', lastTransitionTime: earlier }),
      aCondition({
        type: 'ScalingLimited',
        status: 'False',
        reason: 'DesiredWithinRange',
        lastTransitionTime: earlier,
      }),
    ],
  });
  const changedAt = ({ status }: Decision) => status.conditions.map(({ lastTransitionTime }) => lastTransitionTime);

  it('keep lastTransitionTime while their status stays, though the reason changes', () => {
    const decision = decide(anInput({ observation: anObservation({ cpuPercent: 80 }), status: settled }));

    expect(shown(decision).conditions).toEqual([RESCALED, ACTIVE, UNLIMITED, NOT_ZERO]);
    expect(changedAt(decision)).toEqual([earlier, earlier, earlier, NOW]);
  });

  it('move lastTransitionTime with their status', () => {
    const limited = decide(anInput({ observation: anObservation({ replicas: 10, cpuPercent: 80 }), status: settled }));
    const failed = decide(anInput({ observation: anObservation({ metrics: [{ value: [] }] }), status: settled }));

    expect(changedAt(limited)).toEqual([earlier, earlier, NOW]);
    expect(changedAt(failed)).toEqual([earlier, NOW, earlier]);
  });

  it('leave ScalingActive and ScalingLimited alone when a size out of bounds is corrected', () => {
    const decision = decide(anInput({ observation: anObservation({ replicas: 20 }), status: settled }));

    expect(shown(decision).conditions).toEqual([RESCALED, ACTIVE, UNLIMITED, NOT_ZERO]);
  });
});

describe('the reason', () => {
  it('is that of AbleToScale, wherever it stands', () => {
    const off = run({ spec: { mode: 'Off' } });

    const decision = decide(anInput({ status: off.status }));

    expect(shown(decision)).toMatchObject({ conditions: [ACTIVE, READY, UNLIMITED], reason: 'ReadyForNewScale' });
  });
});

describe("an edit of the user's parallelism or slots", () => {
  const basis = { parallelism: 8, taskSlots: 2 };
  const recommendations = [{ replicas: 4, from: NOW - seconds(30), until: NOW - seconds(30) }];

  it.each([
    ['parallelism', { parallelism: 4, taskSlots: 2 }],
    ['slots', { parallelism: 8, taskSlots: 4 }],
  ])('forgets what was recommended before: %s', (_, scaleBasis) => {
    const decision = run({
      observation: { scaleBasis, cpuPercent: 1 },
      status: { scaleBasis: basis, recommendations },
    });

    expect(decision.status.scaleBasis).toEqual(scaleBasis);
    expect(decision.status.recommendations).toEqual([
      { replicas: 2, from: NOW - 1, until: NOW - 1 },
      { replicas: 1, from: NOW },
    ]);
  });

  it.each([
    ['the same', { observation: { scaleBasis: basis }, status: { scaleBasis: basis, recommendations } }],
    ['seen for the first time', { observation: { scaleBasis: basis }, status: { recommendations } }],
    ['not seen', { status: { scaleBasis: basis, recommendations } }],
  ] satisfies [string, Situation][])('forgets nothing while they are %s', (_, situation) => {
    const { status } = run(situation);

    expect(status.scaleBasis).toEqual(basis);
    expect(status.recommendations).toEqual([...recommendations, { replicas: 2, from: NOW }]);
  });

  it('takes a step of ours that was under way as made: what is seen is the size that the user asked for', () => {
    const pendingRescale = { from: 2, to: 3, time: NOW - seconds(15) };
    const seen = { replicas: 8, scaleBasis: { parallelism: 16, taskSlots: 2 } };
    const status = { scaleBasis: basis, pendingRescale };

    expect(run({ observation: seen, status }).status.scaleEvents).toEqual([{ change: 1, time: NOW - seconds(15) }]);
    expect(run({ observation: { ...seen, scaleBasis: basis }, status }).status.scaleEvents).toEqual([
      { change: 6, time: NOW - seconds(15) },
    ]);
  });
});

describe('what is remembered', () => {
  it('writes the size down before it is made', () => {
    const { status } = run(GROWING);

    expect(status).toMatchObject({
      currentReplicas: 2,
      desiredReplicas: 4,
      pendingRescale: { from: 2, to: 4, time: NOW },
      selector: aScale().selector,
    });
  });

  it('shows the readings with their time', () => {
    const { status } = decide(
      anInput({
        spec: anAutoscalerSpec({ metrics: [CPU, CHEESE] }),
        observation: anObservation({ metrics: [{ value: someSamples(2, 800n) }, NO_CHEESE] }),
        generation: 3,
      }),
    );

    expect(status).toMatchObject({
      observedGeneration: 3,
      currentMetricsTime: NOW,
      targets: 'cpu: 80%/40%, CheddarCheese: <unknown>',
      currentMetrics: [{ metric: CPU, averageValueMilli: 800n, averageUtilization: 80 }, null],
    });
  });

  it('makes a written size that took effect an event, and its time the last scale time', () => {
    const pendingRescale = { from: 2, to: 4, time: NOW - seconds(15) };

    const { status } = decide(
      anInput({ observation: anObservation({ replicas: 4 }), status: aStatus({ pendingRescale }) }),
    );

    expect(status.scaleEvents).toEqual([{ change: 2, time: NOW - seconds(15) }]);
    expect(status.lastScaleTime).toBe(NOW - seconds(15));
    expect(status.pendingRescale).toBeUndefined();
  });

  it('resolves a written size even where something stands in the way', () => {
    const pendingRescale = { from: 2, to: 4, time: NOW - seconds(15) };

    const { status } = decide(
      anInput({
        observation: anObservation({ replicas: 4, phase: 'Updating' }),
        status: aStatus({ pendingRescale }),
      }),
    );

    expect(status.scaleEvents).toEqual([{ change: 2, time: NOW - seconds(15) }]);
  });

  it('keeps a written size while the target cannot be read', () => {
    const pendingRescale = { from: 2, to: 4, time: NOW - seconds(600) };

    const { status } = decide(
      anInput({
        observation: anObservation({ scale: { unreadable: 'timed out' } }),
        status: aStatus({ pendingRescale }),
      }),
    );

    expect(status.pendingRescale).toEqual(pendingRescale);
  });

  it('records what the metrics asked for, not what became of it', () => {
    const { status } = run({ observation: { replicas: 3, cpuPercent: 120 } });

    expect(status.desiredReplicas).toBe(6);
    expect(status.recommendations).toEqual([{ replicas: 9, from: NOW }]);
  });

  it.each([
    ['with metrics that cannot be read', { metrics: [{ unreadable: 'timed out' }] }],
    ['with a target that cannot be read', { scale: { unreadable: 'timed out' } }],
    ['during a deployment', { phase: 'Updating' }],
    ['when a size out of bounds is corrected', { replicas: 20 }],
  ] satisfies [string, Partial<Observation> & { replicas?: number }][])(
    'ends the newest recommendation %s: it did not hold now',
    (_, observation) => {
      const recommendations = [{ replicas: 4, from: NOW - seconds(90) }];

      const { status } = decide(
        anInput({ observation: anObservation(observation), status: aStatus({ recommendations }) }),
      );

      expect(status.recommendations).toEqual([{ replicas: 4, from: NOW - seconds(90), until: NOW - seconds(15) }]);
    },
  );
});

describe('the last decision', () => {
  it('notes a rescale', () => {
    expect(run(GROWING).status.lastDecision).toEqual({
      time: NOW,
      currentReplicas: 2,
      desiredReplicas: 4,
      reason: 'SuccessfulRescale',
      message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
    });
  });

  it('still tells of the rescale in the tick after it', () => {
    const { status } = run(GROWING);

    const next = decide(anInput({ observation: anObservation({ replicas: 4 }), status, now: NOW + seconds(15) }));

    expect(next.status.lastDecision).toEqual(status.lastDecision);
  });

  it('is not written again for the same reason and size', () => {
    const first = run({ observation: { metrics: [{ value: [] }] } });

    const second = decide(
      anInput({
        observation: anObservation({ metrics: [{ value: [] }] }),
        status: first.status,
        now: NOW + seconds(15),
      }),
    );

    expect(second.status.lastDecision).toEqual(first.status.lastDecision);
  });

  it('notes a new reason for keeping the size', () => {
    const first = run({ observation: { metrics: [{ value: [] }] } });

    const second = decide(
      anInput({
        observation: anObservation({ phase: 'Updating' }),
        status: first.status,
        now: NOW + seconds(15),
      }),
    );

    expect(second.status.lastDecision).toMatchObject({ reason: 'DeploymentInProgress', time: NOW + seconds(15) });
  });

  const LATER = NOW + seconds(15);
  const following = (first: Situation, second: Situation): Decision =>
    decide(
      anInput({
        spec: anAutoscalerSpec(second.spec),
        observation: anObservation(second.observation),
        status: run(first).status,
        now: LATER,
      }),
    );

  it('notes another error under the same reason', () => {
    const timedOut = { observation: { scale: { unreadable: 'timed out' } } };
    const forbidden = { observation: { scale: { unreadable: '403 Forbidden' } } };

    expect(following(timedOut, timedOut).status.lastDecision).toMatchObject({ time: NOW, currentReplicas: 0 });
    expect(following(timedOut, forbidden).status.lastDecision).toMatchObject({
      time: LATER,
      message: "Headrace was unable to get the target's current scale: 403 Forbidden",
    });
  });

  it('does not note other numbers under the same reason', () => {
    expect(following({}, { observation: { cpuPercent: 41 } }).status.lastDecision).toMatchObject({ time: NOW });
  });

  it('notes another size under the same reason', () => {
    const advise = { spec: { mode: 'Advise' } } as const;

    expect(
      following({ ...advise, observation: { cpuPercent: 60 } }, { ...advise, ...GROWING }).status.lastDecision,
    ).toMatchObject({ time: LATER, desiredReplicas: 4 });
  });

  it('notes a rescale that is made again, because it was lost', () => {
    expect(following(GROWING, GROWING).status.lastDecision).toMatchObject({ time: LATER, reason: 'SuccessfulRescale' });
  });

  it('does not tell of a rescale that was lost when nothing is to be done any more', () => {
    const forgetful = { spec: anAutoscalerSpec({ settings: { downscaleStabilizationSeconds: 0 } }) };

    expect(following(GROWING, forgetful).status.lastDecision).toMatchObject({
      time: LATER,
      currentReplicas: 2,
      reason: 'ReadyForNewScale',
    });
  });

  it('notes what keeps the size after a rescale', () => {
    expect(following(GROWING, { observation: { replicas: 4, cpuPercent: 10 } }).status.lastDecision).toMatchObject({
      time: LATER,
      reason: 'ScaleDownStabilized',
    });
  });

  it('notes that nothing is to be done after anything but a rescale', () => {
    expect(following({ observation: { phase: 'Updating' } }, {}).status.lastDecision).toMatchObject({
      time: LATER,
      reason: 'ReadyForNewScale',
    });
  });
});

describe('a write of the size that failed', () => {
  it('takes the new size back, and keeps the intent: the write may have taken effect', () => {
    const { status } = run(GROWING);

    const failed = failRescale(status, { error: 'timed out', before: aStatus({ desiredReplicas: 2 }), now: NOW });

    expect(failed).toMatchObject({ desiredReplicas: 2, pendingRescale: { from: 2, to: 4, time: NOW } });
    expect(failed.conditions[0]).toEqual({
      type: 'AbleToScale',
      status: 'False',
      reason: 'FailedUpdateScale',
      message: 'Headrace was unable to update the target scale: timed out',
      lastTransitionTime: NOW,
    });
  });

  it('is the last decision', () => {
    const { status } = run(GROWING);

    expect(failRescale(status, { error: 'timed out', before: aStatus(), now: NOW + 1 }).lastDecision).toEqual({
      time: NOW,
      currentReplicas: 2,
      desiredReplicas: 4,
      reason: 'FailedUpdateScale',
      message: 'Headrace was unable to update the target scale: timed out',
    });
  });

  it('leaves ScaledToZero as it was before', () => {
    const { status } = run(GROWING);
    const before = aStatus({ conditions: [aCondition({ type: 'ScaledToZero', reason: 'ScaledToZero' })] });
    const conditions = (from: AutoscalerStatus) =>
      failRescale(status, { error: 'timed out', before: from, now: NOW }).conditions.map(
        ({ type, status, reason }) => `${type} ${status} ${reason}`,
      );

    expect(conditions(aStatus())).toEqual(['AbleToScale False FailedUpdateScale', ACTIVE, UNLIMITED]);
    expect(conditions(before)).toEqual([
      'AbleToScale False FailedUpdateScale',
      ACTIVE,
      UNLIMITED,
      'ScaledToZero True ScaledToZero',
    ]);
  });

  it('shows no desired size where there was none before', () => {
    const { status } = run(GROWING);

    expect(failRescale(status, { error: 'timed out', before: aStatus(), now: NOW })).not.toHaveProperty(
      'desiredReplicas',
    );
  });
});
