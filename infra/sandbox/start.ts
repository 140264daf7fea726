// npm start: the story, and then a sandbox that lives in real time.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { STORY_DEFAULTS, type Story, type StoryOptions, tellStory } from './story.ts';

const HELP = `npm start -- [OPTIONS]

Plays twenty minutes of one Flink application against a sandbox on the loopback: its load rises and falls, and the functions
of functions/ scale it. Then the sandbox stays up in real time, for \`npx headrace check\`.

  --once               end with the story
  --target PERCENT     of their CPU request that TaskManagers should use   (${STORY_DEFAULTS.target})
  --load PERCENT       of it that the first TaskManagers see at the peak   (${STORY_DEFAULTS.load})
  --task-managers N    at the beginning                                    (${STORY_DEFAULTS.taskManagers})
  --slots N            of each TaskManager                                 (${STORY_DEFAULTS.slots})
  --max N              maxReplicas                                         (${STORY_DEFAULTS.maxReplicas})
  --port N             of the sandbox                                      (any free one)
  --help
`;

interface Command {
  readonly story: StoryOptions;
  readonly once: boolean;
}

function readCommand(words: readonly string[]): Command | 'help' {
  const { values } = parseArgs({
    args: [...words],
    options: {
      once: { type: 'boolean', default: false },
      target: { type: 'string' },
      load: { type: 'string' },
      'task-managers': { type: 'string' },
      slots: { type: 'string' },
      max: { type: 'string' },
      port: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const port = values.port === undefined ? {} : { port: readCount('--port', values.port, 65_535) };
  return {
    once: values.once,
    story: {
      target: readCount('--target', values.target, 1000) ?? STORY_DEFAULTS.target,
      load: readCount('--load', values.load, 100_000) ?? STORY_DEFAULTS.load,
      taskManagers: readCount('--task-managers', values['task-managers'], 1000) ?? STORY_DEFAULTS.taskManagers,
      slots: readCount('--slots', values.slots, 1000) ?? STORY_DEFAULTS.slots,
      maxReplicas: readCount('--max', values.max, 1000) ?? STORY_DEFAULTS.maxReplicas,
      ...(port.port !== undefined && { port: port.port }),
    },
  };
}

function readCount(option: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= most) return count;
  throw new TypeError(`${option} must be a whole number from 1 to ${most}, but is ${text}`);
}

/** Goes on as AWS would: a schedule event each minute, and a look into the queue each second. */
async function liveOn({ triggers }: Story): Promise<never> {
  let lastMinute = Math.floor(Date.now() / 60_000);
  for (;;) {
    const minute = Math.floor(Date.now() / 60_000);
    // As on AWS, an invocation that fails is told, and the next one comes.
    try {
      if (minute !== lastMinute) await triggers.minute();
      await triggers.poll();
    } catch (error) {
      console.error(`a function failed: ${(error as Error).message}`);
    }
    lastMinute = minute;
    await wait(1000);
  }
}

function invite({ sandbox }: Story): void {
  const kubeconfig = join(mkdtempSync(join(tmpdir(), 'headrace-')), 'kubeconfig');
  writeFileSync(kubeconfig, sandbox.kubeconfig);
  console.log(`
The sandbox is up at ${sandbox.url} and goes on in real time, Headrace's functions with it; Ctrl-C ends it. In another terminal, in this
directory:

  export KUBECONFIG=${kubeconfig}
  npx headrace check
`);
}

async function main(): Promise<void> {
  const command = readCommand(process.argv.slice(2));
  if (command === 'help') {
    console.log(HELP);
    return;
  }
  // The story is told from what the functions did; their JSON logs would be told in between.
  process.env.POWERTOOLS_LOG_LEVEL ??= 'SILENT';
  process.env.POWERTOOLS_METRICS_DISABLED ??= 'true';
  const story = await tellStory(command.story, (line) => console.log(line));
  if (command.once) {
    story.triggers.close();
    await story.sandbox.close();
    process.exit(0);
  }
  invite(story);
  await liveOn(story);
}

try {
  await main();
} catch (error) {
  console.error(`npm start: ${(error as Error).message}`);
  process.exitCode = 1;
}
