// Where Headrace decides otherwise, on purpose: one case for each entry of docs/differences-from-hpa.md that one case can show.
import type { Case, MetricAnswer, PodPlan, TickPlan } from './plan.ts';

export interface KnownDifference {
  /** As the document names it. */
  readonly entry: string;
  readonly planned: Case;
  /** What of both is looked at in the end, and what is seen. */
  readonly sight: 'size' | 'reading' | 'AbleToScale' | 'ScalingActive';
  readonly hpa: string | number;
  readonly headrace: string | number;
}

const pod = (name: string, state: PodPlan['state'] = 'ready'): PodPlan => ({
  name,
  state,
  containers: [{ name: 'taskmanager', requests: { cpu: '1', memory: '1Gi' } }],
});

const external = (name: string, averageValue: string) => ({
  type: 'External',
  external: { metric: { name: `lag-${name}-0` }, target: { type: 'AverageValue', averageValue } },
});

const readings = (metric: string, ...answers: readonly MetricAnswer[]): readonly TickPlan[] =>
  answers.map((answer) => ({ usage: new Map(), values: new Map([[metric, answer]]) }));

const aCase = (name: string, fields: Pick<Case, 'spec' | 'ticks'> & Partial<Case>): Case => ({
  name,
  replicas: 4,
  statusReplicas: 4,
  pods: [pod(`${name}-0`)],
  ...fields,
});

export const knownDifferences: readonly KnownDifference[] = [
  {
    entry: 'Steps are remembered as long as any policy looks back at them',
    planned: aCase('steps', {
      replicas: 8,
      spec: {
        maxReplicas: 20,
        metrics: [external('steps', '1')],
        behavior: {
          scaleUp: { policies: [{ type: 'Pods', value: 2, periodSeconds: 300 }] },
          scaleDown: { stabilizationWindowSeconds: 0, policies: [{ type: 'Pods', value: 1, periodSeconds: 6 }] },
        },
      },
      // Down by one twice, and up again: 2 more than the 8 of five minutes ago, or than the 7 that are left of it.
      ticks: readings('lag-steps-0', ['8'], ['1'], ['1'], ['20'], ['20']),
    }),
    sight: 'size',
    hpa: 9,
    headrace: 10,
  },
  {
    entry: 'Saturation',
    planned: aCase('large', {
      spec: {
        maxReplicas: 20,
        metrics: [
          {
            type: 'Object',
            object: {
              describedObject: { apiVersion: 'v1', kind: 'Service', name: 'front' },
              metric: { name: 'requests-large-0' },
              target: { type: 'AverageValue', averageValue: '1' },
            },
          },
        ],
      },
      ticks: readings('requests-large-0', ...Array.from({ length: 5 }, () => ['3000000000'])),
    }),
    sight: 'size',
    hpa: 1,
    headrace: 20,
  },
  {
    entry: 'A share of nobody',
    planned: aCase('nobody', {
      statusReplicas: 0,
      spec: { maxReplicas: 20, metrics: [external('nobody', '1')] },
      ticks: readings('lag-nobody-0', ...Array.from({ length: 5 }, () => ['4'])),
    }),
    sight: 'reading',
    hpa: '-9223372036854775807m',
    headrace: '0m',
  },
  {
    entry: 'maxSampleAgeSeconds',
    planned: aCase('stale', {
      pods: [pod('stale-0', 'young and measured too early')],
      controller: { maxSampleAgeSeconds: 30 },
      spec: {
        maxReplicas: 20,
        metrics: [
          { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1' } } },
        ],
      },
      ticks: Array.from({ length: 5 }, () => ({
        usage: new Map([
          ['stale-0', { windowSeconds: 15, containers: [{ name: 'taskmanager', usage: { memory: '1' } }] }],
        ]),
        values: new Map(),
      })),
    }),
    sight: 'ScalingActive',
    hpa: 'True/ValidMetricFound',
    headrace: 'False/FailedGetResourceMetric',
  },
  {
    entry: 'Holding during a deployment',
    planned: aCase('deployed', {
      phase: 'Updating',
      spec: { maxReplicas: 20, metrics: [external('deployed', '1')] },
      ticks: readings('lag-deployed-0', ...Array.from({ length: 5 }, () => ['8'])),
    }),
    sight: 'ScalingActive',
    hpa: 'True/ValidMetricFound',
    headrace: 'False/DeploymentInProgress',
  },
  {
    entry: 'A selector that cannot be read',
    planned: aCase('garbled', {
      selector: 'flink-app in (',
      spec: { maxReplicas: 20, metrics: [external('garbled', '1')] },
      ticks: readings('lag-garbled-0', ...Array.from({ length: 5 }, () => ['8'])),
    }),
    sight: 'AbleToScale',
    hpa: 'False/FailedGetScale',
    headrace: 'True/SucceededGetScale',
  },
];

/** Two autoscalers of different targets that pick the same pods. Which of them the controller looks at first is chance, so it is seen in the end. */
export const sharers: readonly Case[] = ['shared', 'sharing'].map((name) =>
  aCase(name, {
    selector: 'flink-app=shared',
    spec: { maxReplicas: 20, metrics: [external(name, '1')] },
    ticks: readings(`lag-${name}-0`, ...Array.from({ length: 5 }, () => ['4'])),
  }),
);
