import { systemClock } from '../clock.ts';
import type { Log } from '../control-plane.ts';
import { scaleShard } from '../controllers/scale.ts';
import { COMMON_HELP, type Command, EXIT, openFromOptions, parseCommonOptions, type Terminal } from './command.ts';
import { renderJson, renderTable } from './render.ts';

const HELP = `headrace check: one tick now

Reads metrics, decides the size of every FlinkAutoscaler's target, and writes it, exactly as the scheduled function does.

Usage: headrace check [OPTIONS]

${COMMON_HELP}
Examples:
  headrace check --dry-run -A     what would be done, anywhere
  headrace check -n flink -o json
`;

/** What was decided is in the report; the log would say it twice. */
const SILENT: Log = { info: () => {}, warn: () => {}, error: () => {} };

export const checkCommand: Command = {
  name: 'check',
  summary: 'one tick now: decide, and scale where needed',
  help: HELP,
  run,
};

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const options = parseCommonOptions(words);
  const { cluster, namespaces } = await openFromOptions(options);
  try {
    const report = await scaleShard({ now: systemClock, log: SILENT }, cluster, namespaces, { dryRun: options.dryRun });
    terminal.out(options.output === 'json' ? renderJson(report) : renderTable(report, namespaces));
    const hasFailed = report.autoscalers.some(
      ({ error, outcome, decision }) =>
        error !== undefined || decision?.blocker !== undefined || outcome === 'conflict',
    );
    return hasFailed ? EXIT.failed : EXIT.ok;
  } finally {
    cluster.client.close();
  }
}
