// The story of npm start is told from what the API server holds; here it is held against what the API server was asked.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Story, StoryOptions } from '../../infra/sandbox/story.ts';

const story: StoryOptions = { target: 40, load: 80, taskManagers: 2, slots: 2, maxReplicas: 20 };

let told: Story | undefined;
beforeEach(() => {
  // The functions read their environment once, so each story needs fresh ones.
  vi.resetModules();
  vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'SILENT');
  vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'true');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  told?.triggers.close();
  await told?.sandbox.close();
  told = undefined;
});

async function tell(options: Partial<StoryOptions> = {}): Promise<Story> {
  const { tellStory } = await import('../../infra/sandbox/story.ts');
  told = await tellStory({ ...story, ...options }, () => {});
  return told;
}

/** What a line says, without its time of day. */
const wordsOf = (line: string) => line.slice('00:00:00'.length).trim();

/** Every "from A to B" that was told. */
function stepsTold({ lines }: Story): [number, number][] {
  return lines.flatMap((line) => {
    const [, from, to] = /scales from (\d+) to (\d+)/.exec(line) ?? [];
    return from === undefined ? [] : [[Number(from), Number(to)] as [number, number]];
  });
}

/** Every size that was written to a scale, seeding included. */
function sizesWritten({ sandbox }: Story): number[] {
  return sandbox.requests
    .filter(({ method, path }) => method === 'PATCH' && path.endsWith('/scale'))
    .map(({ body }) => (body as { spec: { replicas: number } }).spec.replicas);
}

/** From one line to the other, also over midnight. */
function secondsBetween(earlier: string, later: string): number {
  const secondOf = (line: string) => Date.parse(`2026-01-01T${line.slice(0, 8)}Z`) / 1000;
  return (secondOf(later) - secondOf(earlier) + 86_400) % 86_400;
}

const BEING_DEPLOYED = expect.stringContaining('is being deployed');
const STARTING = expect.stringContaining('ClusterStarting: ');
const SAVEPOINTING = expect.stringContaining('Savepointing: ');
const SUBMITTING = expect.stringContaining('SubmittingJob: ');

/** A story is twenty minutes of rounds: seconds, on a machine that has nothing else to do. */
const PATIENCE = { timeout: 120_000 };

describe('the story', PATIENCE, () => {
  it('has the numbers that were promised, in their order', async () => {
    const { lines } = await tell();

    expect(lines.map(wordsOf)).toEqual([
      '2 TaskManagers × 2 slots, target 40 % of their CPU request',
      BEING_DEPLOYED,
      STARTING,
      SUBMITTING,
      '2 TaskManagers run, parallelism 4',
      expect.stringContaining('stays at 2'),
      'load rises: 80 % of what 2 TaskManagers request',
      expect.stringMatching(/scales from 2 to 4: cpu 80%\/40%: ceil\(2 × 80\/40\) = 4$/),
      STARTING,
      SAVEPOINTING,
      BEING_DEPLOYED,
      SUBMITTING,
      expect.stringMatching(/^4 TaskManagers run, parallelism 8, restored from s3:\S+savepoint\S+$/),
      expect.stringContaining('stays at 4: cpu 40%/40%'),
      'load falls to what it was',
      expect.stringMatching(/stays at 4: .*the largest recommendation of the last 300 s is 4$/),
      expect.stringMatching(/scales from 4 to 2: .*ceil\(4 × 20\/40\) = 2$/),
      STARTING,
      SAVEPOINTING,
      BEING_DEPLOYED,
      SUBMITTING,
      expect.stringMatching(/^2 TaskManagers run, parallelism 4, restored from s3:\S+savepoint\S+$/),
      expect.stringContaining('stays at 2: cpu 40%/40%'),
      expect.stringMatching(/^3 jobs one after the other, 0 s of two at once, \d+ records counted exactly once$/),
    ]);
  });

  it('shrinks when the lower load has been seen for 300 s, and no earlier', async () => {
    const { lines } = await tell();

    const [held = '', shrunk = ''] = lines.filter((line) => /ceil\(4 × 20\/40\) = 2/.test(line));
    expect(secondsBetween(held, shrunk)).toBe(300);
  });

  it.each<Partial<StoryOptions>>([{}, { target: 60, load: 95 }, { load: 400 }, { taskManagers: 3, slots: 4 }])(
    'tells each write to the scale, and no other: %o',
    async (options) => {
      const { taskManagers } = { ...story, ...options };

      const whole = await tell(options);

      const steps = stepsTold(whole);
      const firstSize = taskManagers;
      expect(sizesWritten(whole)).toEqual([firstSize, ...steps.map(([, to]) => to)]);
      expect(steps.map(([from]) => from)).toEqual([firstSize, ...steps.map(([, to]) => to)].slice(0, -1));
      expect(whole.sandbox.requests.filter(({ path, status }) => path.endsWith('/scale') && status !== 200)).toEqual(
        [],
      );
    },
  );

  it('follows other numbers: 95 % against 60 % make ceil(2 × 95/60) = 4', async () => {
    const whole = await tell({ target: 60, load: 95 });

    expect(whole.lines.join('\n')).toContain('cpu 95%/60%: ceil(2 × 95/60) = 4');
    expect(stepsTold(whole)[0]).toEqual([2, 4]);
  });

  it('follows other numbers: ten times the load is reached as fast as the limit allows', async () => {
    const whole = await tell({ load: 400 });

    expect(whole.lines.join('\n')).toContain('ceil(2 × 400/40) = 20; limited to 4 (ScaleUpLimit)');
    expect(stepsTold(whole)[0]).toEqual([2, 4]);
    for (const [from, to] of stepsTold(whole)) expect(to).toBeLessThanOrEqual(Math.max(2 * from, 4));
    expect(stepsTold(whole).some(([, to]) => to === 20)).toBe(true);
  });

  it('follows other numbers: never more than the maximum', async () => {
    const whole = await tell({ load: 400, maxReplicas: 3 });

    expect(stepsTold(whole)[0]).toEqual([2, 3]);
    expect(whole.lines.join('\n')).toContain('(TooManyReplicas)');
  });

  it('does nothing where the load stays on target', async () => {
    const whole = await tell({ load: 40 });

    expect(stepsTold(whole)).toEqual([]);
    expect(sizesWritten(whole)).toEqual([2]);
  });
});

describe('npm start', PATIENCE, () => {
  const run = promisify(execFile);
  const start = (...words: string[]) => run(process.execPath, ['infra/sandbox/start.ts', ...words]);

  it('ends with the story, when it is told --once', async () => {
    const { stdout } = await start('--once', '--target', '60', '--load', '95');

    expect(stdout).toContain('scales from 2 to 4: cpu 95%/60%: ceil(2 × 95/60) = 4');
    expect(stdout).toContain('4 TaskManagers run, parallelism 8');
  });

  it('explains its options', async () => {
    const { stdout } = await start('--help');

    for (const option of ['--once', '--target', '--load', '--task-managers', '--slots', '--max', '--port'])
      expect(stdout).toContain(option);
  });

  it.each([
    [['--load', 'x'], /^npm start: --load must be a whole number from 1 to \d+, but is x\n$/],
    [['--max', '0'], /^npm start: --max must be a whole number from 1 to \d+, but is 0\n$/],
    [['--lod', '80'], /^npm start: Unknown option '--lod'/],
  ])('says what is wrong with %o', async (words, message) => {
    await expect(start(...words)).rejects.toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
  });
});
