// The measured process of npm run bench: the decision alone, and snapshots from a file, beside JSON.parse of the same bytes.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DecisionInput, decide } from '../../shared/scaling/decide.ts';
import type { MetricSpec } from '../../shared/scaling/types.ts';
import { anAutoscalerSpec, aPod, aPodSample, NOW } from '../support/builders.ts';
import { aSnapshot } from '../support/snapshots.ts';

export interface DecisionFigures {
  readonly decisions: readonly {
    readonly pods: number;
    readonly metrics: number;
    /** Median of the rounds. */
    readonly nanoseconds: number;
  }[];
  readonly replay: {
    readonly snapshots: number;
    readonly pods: number;
    readonly megabytes: number;
    /** A process from its start to its end, its bundle loaded. */
    readonly perSecond: number;
    /** The same for a process that parses the lines and does nothing else. */
    readonly floorPerSecond: number;
  };
}

const ROUNDS = 15;
const ROUND_MILLISECONDS = 50;
const REPLAY_PODS = 10;
const REPLAY_SNAPSHOTS = 20_000;

const RESOURCES = ['cpu', 'memory', 'ephemeral-storage', 'example.com/a', 'example.com/b'];

/** Ready pods, all of them busy at 80 % of a target of 40 %, under each of the metrics. */
function anInput(podCount: number, metricCount: number): DecisionInput {
  const resources = RESOURCES.slice(0, metricCount);
  const metrics = resources.map(
    (resource): MetricSpec => ({ type: 'Resource', resource, target: { type: 'Utilization', averageUtilization: 40 } }),
  );
  const names = Array.from({ length: podCount }, (_, index) => `orders-${index}`);
  const requestsMilli = Object.fromEntries(resources.map((resource) => [resource, 1000n]));
  const pods = names.map((name) => aPod({ name, containers: [{ name: 'taskmanager', requestsMilli }] }));
  const samples = names.map((pod) => aPodSample({ pod, valueMilli: 800n }));
  return {
    spec: anAutoscalerSpec({ maxReplicas: 1000, metrics }),
    observation: {
      scale: { value: { replicas: podCount, selector: 'flink-app=orders' } },
      rivals: { value: [] },
      pods: { value: pods },
      metrics: metrics.map(() => ({ value: samples })),
    },
    status: { conditions: [], scaleEvents: [] },
    now: NOW,
  };
}

function measureDecision(pods: number, metrics: number): DecisionFigures['decisions'][number] {
  const input = anInput(pods, metrics);
  if (decide(input).desiredReplicas !== pods * 2) throw new Error('the decision is not the one that is to be measured');
  const rounds = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    let count = 0;
    while (performance.now() - start < ROUND_MILLISECONDS) {
      decide(input);
      count += 1;
    }
    return ((performance.now() - start) * 1e6) / count;
  });
  return { pods, metrics, nanoseconds: rounds.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? Number.NaN };
}

function measureReplay(): DecisionFigures['replay'] {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-bench-'));
  try {
    const file = join(folder, 'snapshots.ndjson');
    writeFileSync(file, `${JSON.stringify(aSnapshot({ replicas: REPLAY_PODS }))}\n`.repeat(REPLAY_SNAPSHOTS));
    const parse = `
      const lines = require('node:readline').createInterface({ input: require('node:fs').createReadStream(process.argv[1]) });
      lines.on('line', (line) => JSON.parse(line));`;
    return {
      snapshots: REPLAY_SNAPSHOTS,
      pods: REPLAY_PODS,
      megabytes: statSync(file).size / 1e6,
      perSecond: REPLAY_SNAPSHOTS / timeProcess(['dist/cli/headrace.mjs', 'replay', file]),
      floorPerSecond: REPLAY_SNAPSHOTS / timeProcess(['-e', parse, file]),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @returns seconds */
function timeProcess(args: readonly string[]): number {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`node ${args.join(' ')} failed`);
  return (performance.now() - start) / 1000;
}

const decisions = [measureDecision(10, 1), measureDecision(100, 5)];
console.log(JSON.stringify({ decisions, replay: measureReplay() } satisfies DecisionFigures));
