import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../clock.ts';
import { settlesWithin } from '../concurrency.ts';
import type { Cluster, Log } from '../control-plane.ts';
import { COME_BACK_SECONDS, PATIENCE_MILLISECONDS, reconcileByAndBy } from '../controllers/round.ts';
import { scaleShard } from '../controllers/scale.ts';
import { describeError } from '../errors.ts';
import { SYNC_PERIOD_SECONDS } from '../kubernetes/flink-autoscaler.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { formatTime } from '../units.ts';
import { Calls } from './calls.ts';
import {
  COMMON_HELP,
  type Command,
  type CommonOptions,
  EXIT,
  openFromOptions,
  parseCommonOptions,
  type Terminal,
} from './command.ts';

const MINUTE_MILLISECONDS = 60_000;

const HELP = `headrace run: the same controllers on a clock, without AWS

Until it is interrupted, on any Kubernetes: looks at every FlinkAutoscaler each ${SYNC_PERIOD_SECONDS} s, and scales; looks at every
FlinkApplication each minute, at one that has changed at once, at those on their way each ${COME_BACK_SECONDS} s, and deploys. A line for each
decision that changed, and for each phase. What fails is told, and tried again the next time.

Usage: headrace run [OPTIONS]

${COMMON_HELP}      --scaling-only     leave deployments to somebody else

With --dry-run nothing is deployed either: only what scaling would do can be shown ahead.
`;

export const runCommand: Command = {
  name: 'run',
  summary: 'scales and deploys on a clock of its own, until interrupted',
  help: HELP,
  run,
};

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const { flags, ...options } = parseCommonOptions(words, 'scaling-only');
  const { cluster, namespaces } = await openFromOptions(options);
  const log = createTerminalLog(terminal, options.output);
  const work = { cluster, namespaces, log, calls: new Calls(), interrupted: terminal.interrupted };
  const deploys = !options.dryRun && !flags.has('scaling-only');
  try {
    await Promise.all([keepScaling(work, options.dryRun), ...(deploys ? [keepDeploying(work)] : [])]);
    return EXIT.ok;
  } finally {
    cluster.client.close();
  }
}

interface Work {
  readonly cluster: Cluster;
  readonly namespaces: Namespaces;
  readonly log: Log;
  /** What a tick finds changed is looked at by a round. */
  readonly calls: Calls;
  readonly interrupted: AbortSignal;
}

async function keepScaling({ cluster, namespaces, log, calls, interrupted }: Work, dryRun: boolean): Promise<void> {
  while (!interrupted.aborted) {
    try {
      const { changed, rescaled } = await scaleShard({ now: systemClock, log }, cluster, namespaces, { dryRun });
      calls.add([...changed, ...rescaled]);
    } catch (error) {
      log.error('tick failed', { cluster: cluster.name, error: describeError(error) });
    }
    await untilNextTick(interrupted);
  }
}

/** Ticks fall on whole periods of the clock, however long each of them takes. */
async function untilNextTick(interrupted: AbortSignal): Promise<void> {
  const period = SYNC_PERIOD_SECONDS * 1000;
  const rest = period - (Date.now() % period);
  await wait(rest, undefined, { signal: interrupted }).catch(() => {});
}

/**
 * A round over everything at first and with each minute of the clock; between them, over those that need one. Rounds come one
 * after the other, except that nobody waits for one that is slow.
 */
async function keepDeploying(work: Work): Promise<void> {
  const { calls, interrupted } = work;
  const rounds = new Set<Promise<void>>();
  let nextMinute = 0;
  while (!interrupted.aborted) {
    const called = calls.take();
    const isWhole = Date.now() >= nextMinute;
    if (isWhole) nextMinute = (Math.floor(Date.now() / MINUTE_MILLISECONDS) + 1) * MINUTE_MILLISECONDS;
    const round = runRound(work, isWhole ? undefined : called, called).finally(() => rounds.delete(round));
    rounds.add(round);
    await settlesWithin(round, PATIENCE_MILLISECONDS);
    await calls.waitUntil(nextMinute, interrupted);
  }
  await Promise.all(rounds);
}

/** Those who want to be looked at again soon call for that; after a round that failed, those who had called before. */
async function runRound(work: Work, only: readonly string[] | undefined, called: readonly string[]): Promise<void> {
  const { cluster, namespaces, log } = work;
  try {
    await reconcileByAndBy({ now: systemClock, log }, { cluster, namespaces, only }, (onTheirWay) =>
      callLater(work, onTheirWay),
    );
  } catch (error) {
    log.error('round failed', { cluster: cluster.name, error: describeError(error) });
    callLater(work, called);
  }
}

function callLater({ calls, interrupted }: Work, applications: readonly string[]): void {
  if (applications.length === 0) return;
  const due = wait(COME_BACK_SECONDS * 1000, undefined, { signal: interrupted });
  due.then(
    () => calls.add(applications),
    () => {},
  );
}

function createTerminalLog(terminal: Terminal, output: CommonOptions['output']): Log {
  const write = (level: string) => (message: string, data: Record<string, unknown>) => {
    const time = formatTime(Date.now());
    terminal.out(
      output === 'json'
        ? `${JSON.stringify({ time, level, message, ...data })}\n`
        : `${time} ${describeLine(message, data)}\n`,
    );
  };
  return { info: write('info'), warn: write('warn'), error: write('error') };
}

function describeLine(event: string, data: Record<string, unknown>): string {
  const { autoscaler, application, reason, explanation, effect, error, from, to } = data;
  if (event === 'decided') return `${autoscaler} ${reason}: ${explanation}`;
  if (event === 'phase') return `${application} ${from || '(new)'} → ${to}`;
  return [event, autoscaler ?? application, reason, effect, error].filter((part) => part !== undefined).join(' ');
}
