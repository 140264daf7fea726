// npm run bench: what a cold start, a decision and a tick cost on this machine, beside a floor measured in the same run.

import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { DecisionFigures } from './decision.ts';
import type { TickFigures } from './tick.ts';

const { values } = parseArgs({
  options: {
    applications: { type: 'string', default: '1000' },
    'task-managers': { type: 'string', default: '10' },
    ticks: { type: 'string', default: '7' },
    starts: { type: 'string', default: '20' },
  },
});

console.log(
  `machine: ${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.versions.node}\n`,
);
benchColdStart(Number(values.starts));
benchDecision();
await benchTick();

/** Time to load the bundle of scale-check, beside a Node process that loads nothing. */
function benchColdStart(starts: number): void {
  const bundle = 'dist/scale-check/index.cjs';
  const kilobytes = Math.round(statSync(bundle).size / 1000);
  const importMilliseconds = [];
  const process_ = [];
  const empty = [];
  const script = `const start = performance.now(); require('./${bundle}'); console.log(performance.now() - start)`;
  for (let start = 0; start < starts; start += 1) {
    empty.push(timeProcess(['-e', '']).milliseconds);
    const run = timeProcess(['-e', script]);
    process_.push(run.milliseconds);
    importMilliseconds.push(Number(run.output));
  }
  console.log(`cold start of scale-check (${kilobytes} kB, median of ${starts}, interleaved)`);
  console.log(
    `  import ${format(median(importMilliseconds))} ms; process ${format(median(process_))} ms, of an empty one ${format(median(empty))} ms\n`,
  );
}

function timeProcess(args: readonly string[]): { milliseconds: number; output: string } {
  const start = performance.now();
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} failed: ${stderr}`);
  return { milliseconds: performance.now() - start, output: stdout };
}

/** The pure decision, and snapshots read from a file. */
function benchDecision(): void {
  const { decisions, replay } = JSON.parse(timeProcess(['test/bench/decision.ts']).output) as DecisionFigures;
  console.log('one decision (median of rounds of 50 ms)');
  for (const { pods, metrics, nanoseconds } of decisions)
    console.log(`  ${pods} pods, ${metrics} ${metrics === 1 ? 'metric' : 'metrics'}: ${Math.round(nanoseconds)} ns`);
  const { snapshots, pods, megabytes, perSecond, floorPerSecond } = replay;
  console.log(`replay of ${snapshots} snapshots of ${pods} pods (${format(megabytes)} MB, one process)`);
  console.log(
    `  ${Math.round(perSecond)} snapshots per second; JSON.parse of the same lines alone: ${Math.round(floorPerSecond)}\n`,
  );
}

/** Ticks over a fleet that a sandbox in a process of its own holds. */
async function benchTick(): Promise<void> {
  const { applications, 'task-managers': taskManagers, ticks } = values;
  const server = spawn(
    process.execPath,
    ['infra/sandbox/serve.ts', '--applications', applications, '--task-managers', taskManagers],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const [ready] = (await once(createInterface(server.stdout), 'line')) as [string];
    const { url, env } = JSON.parse(ready) as { url: string; env: Record<string, string> };
    const { stdout, status } = spawnSync(process.execPath, ['--expose-gc', 'test/bench/tick.ts', url, ticks], {
      encoding: 'utf8',
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 2 ** 26,
    });
    if (status !== 0) throw new Error('the tick failed');
    report(JSON.parse(stdout) as TickFigures);
  } finally {
    server.kill('SIGTERM');
  }
}

function report({ first, rest, floor, peakMegabytes }: TickFigures): void {
  const { applications, 'task-managers': taskManagers } = values;
  console.log(
    `one tick of ${applications} autoscalers × ${taskManagers} TaskManagers (median of ${rest.length} at rest, against a sandbox process)`,
  );
  console.log(`  first tick, every status new: ${describe(first)}`);
  const typical = rest.toSorted((a, b) => a.cpuMilliseconds - b.cpuMilliseconds)[Math.floor(rest.length / 2)];
  if (typical === undefined) throw new Error('no tick was measured');
  console.log(`  at rest:                      ${describe(typical)}`);
  console.log(
    `  JSON.parse of the same lists, ${format(floor.bytes / 1e6)} MB of JSON: ${format(floor.cpuMilliseconds)} ms CPU → a tick at rest is ${(typical.cpuMilliseconds / floor.cpuMilliseconds).toFixed(2)} × that`,
  );
  console.log(`  peak memory ${Math.round(peakMegabytes)} MB (resident, whole process)`);
}

function describe(figures: TickFigures['first']): string {
  const { cpuMilliseconds, wallMilliseconds, questions, pages, writes, wireBytes } = figures;
  return `${format(cpuMilliseconds)} ms CPU, ${format(wallMilliseconds)} ms wall; ${questions} questions in ${pages} pages, ${writes} writes; ${format(wireBytes / 1e6)} MB on the wire`;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function format(number: number): string {
  return number >= 100 ? String(Math.round(number)) : number.toFixed(1);
}
