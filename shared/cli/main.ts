// headrace: the words a person types. It calls the same controllers as the functions.

import { describeError } from '../errors.ts';
import { checkCommand } from './check.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { convertCommand } from './convert.ts';
import { replayCommand } from './replay.ts';
import { runCommand } from './run.ts';
import { snapshotCommand } from './snapshot.ts';
import { takeOverCommand } from './take-over.ts';

const COMMANDS: readonly Command[] = [
  checkCommand,
  runCommand,
  snapshotCommand,
  replayCommand,
  convertCommand,
  takeOverCommand,
];

const HELP = `headrace: autoscales and deploys Apache Flink on Kubernetes from outside the cluster

Usage: headrace COMMAND [OPTIONS]

Commands:
${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(9)} ${summary}`).join('\n')}

headrace COMMAND --help tells more.

Exit status:
  0  every autoscaler was judged, and acted on where it had to be
  1  at least one could not be, or its target does not deploy what it is asked for; the reason is in the output
  2  the command was typed wrong, or a file holds something else than it must
  3  the cluster could not be reached or read
`;

/** Runs one command line. @returns the exit status */
export async function main(words: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    terminal.out(HELP);
    return name === undefined ? EXIT.usage : EXIT.ok;
  }
  const command = COMMANDS.find((candidate) => candidate.name === name);
  if (command === undefined) {
    terminal.error(`headrace: ${name} is no command; there is ${COMMANDS.map((known) => known.name).join(', ')}\n`);
    return EXIT.usage;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    terminal.out(command.help);
    return EXIT.ok;
  }
  try {
    return await command.run(rest, terminal);
  } catch (error) {
    terminal.error(`headrace ${name}: ${describeError(error)}\n`);
    if (error instanceof UsageError) terminal.error(`headrace ${name} --help tells what can be typed\n`);
    return error instanceof UsageError ? EXIT.usage : EXIT.cluster;
  }
}
