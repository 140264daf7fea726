import { setTimeout as wait } from 'node:timers/promises';
import { systemClock } from '../clock.ts';
import type { Log } from '../control-plane.ts';
import { scaleShard } from '../controllers/scale.ts';
import { describeError } from '../errors.ts';
import { SYNC_PERIOD_SECONDS } from '../kubernetes/flink-autoscaler.ts';
import { formatTime } from '../units.ts';
import {
  COMMON_HELP,
  type Command,
  type CommonOptions,
  EXIT,
  openFromOptions,
  parseCommonOptions,
  type Terminal,
} from './command.ts';

const HELP = `headrace run: the same controllers on a clock, without AWS

Looks at every FlinkAutoscaler each ${SYNC_PERIOD_SECONDS} s until it is interrupted, on any Kubernetes. A line for each decision that changed.
A tick that fails is told and the next one tries again.

Usage: headrace run [OPTIONS]

${COMMON_HELP}`;

export const runCommand: Command = {
  name: 'run',
  summary: `a tick every ${SYNC_PERIOD_SECONDS} s, until interrupted`,
  help: HELP,
  run,
};

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const options = parseCommonOptions(words);
  const { cluster, namespaces } = await openFromOptions(options);
  const log = createTerminalLog(terminal, options.output);
  try {
    while (!terminal.interrupted.aborted) {
      try {
        await scaleShard({ now: systemClock, log }, cluster, namespaces, { dryRun: options.dryRun });
      } catch (error) {
        log.error('tick failed', { cluster: cluster.name, error: describeError(error) });
      }
      await untilNextTick(terminal.interrupted);
    }
    return EXIT.ok;
  } finally {
    cluster.client.close();
  }
}

/** Ticks fall on whole periods of the clock, however long each of them takes. */
async function untilNextTick(interrupted: AbortSignal): Promise<void> {
  const period = SYNC_PERIOD_SECONDS * 1000;
  const rest = period - (Date.now() % period);
  await wait(rest, undefined, { signal: interrupted }).catch(() => {});
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

function describeLine(event: string, { autoscaler, reason, explanation, error }: Record<string, unknown>): string {
  if (event === 'decided') return `${autoscaler} ${reason}: ${explanation}`;
  return [event, autoscaler, reason, error].filter((part) => part !== undefined).join(' ');
}
