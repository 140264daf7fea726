import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { judgeSnapshot } from '../../shared/replay/judge.ts';
import { type, typeInProcess } from '../support/command-line.ts';
import { aSnapshot, snapshotCases } from '../support/snapshots.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'headrace-replay-'));
});
afterEach(() => rm(folder, { recursive: true }));

function aFile(content: string | Uint8Array, name = 'snapshots.json'): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

function parseLines(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

describe('headrace replay', () => {
  const snapshots = snapshotCases.map(({ snapshot }) => snapshot);

  it.each([
    ['a snapshot a line', snapshots.map((snapshot) => `${JSON.stringify(snapshot)}\n`).join('')],
    ['an array', JSON.stringify(snapshots, null, 2)],
    ['snapshots one after the other', snapshots.map((snapshot) => JSON.stringify(snapshot, null, 1)).join('')],
    [
      'lines of Windows with a byte order mark',
      `\ufeff${snapshots.map((snapshot) => JSON.stringify(snapshot)).join('\r\n')}`,
    ],
  ])('answers %s, a line for each in their order', async (_, content) => {
    const { status, out, error } = await type('replay', aFile(content));

    expect({ status, error }).toEqual({ status: 0, error: '' });
    expect(parseLines(out)).toEqual(JSON.parse(JSON.stringify(snapshots.map(judgeSnapshot))));
  });

  it('reads the standard input', async () => {
    const { status, out } = await typeInProcess(JSON.stringify(aSnapshot()), 'replay', '-');

    expect(status).toBe(0);
    expect(parseLines(out)).toMatchObject([{ name: 'orders', desiredReplicas: 4 }]);
  });

  it('without --carry judges each snapshot on its own, with it as one story', async () => {
    const story = [40, 20].map((cpuPercent, tick) =>
      aSnapshot({ replicas: 4, cpuPercent, seconds: tick * 15, status: { recommendations: [] } }),
    );
    const file = aFile(JSON.stringify(story));

    const alone = parseLines((await type('replay', file)).out);
    const carried = parseLines((await type('replay', '--carry', file)).out);

    expect(alone).toMatchObject([{ desiredReplicas: 4 }, { desiredReplicas: 2, rescale: true }]);
    expect(carried).toMatchObject([{ desiredReplicas: 4 }, { desiredReplicas: 4, reason: 'ScaleDownStabilized' }]);
  });

  it('ends with 1 when one could not be read, and judges the others', async () => {
    const broken = { ...aSnapshot({ name: 'broken' }), now: 'noon' };
    const file = aFile(JSON.stringify([aSnapshot(), broken, 5, aSnapshot({ name: 'last' })]));

    const { status, out } = await type('replay', file);

    expect(status).toBe(1);
    expect(parseLines(out)).toMatchObject([
      { name: 'orders', desiredReplicas: 4 },
      { name: 'broken', invalid: [{ path: 'now', message: 'must be an RFC 3339 time' }] },
      { name: '', invalid: [{ path: '', message: expect.stringContaining('expected object') }] },
      { name: 'last', desiredReplicas: 4 },
    ]);
  });

  it.each([
    ['is empty', '', 'there is no JSON value: the input ends at byte 0 (line 1)'],
    ['is prose', 'hello', 'this is no JSON: "hello" at byte 0 (line 1)'],
    ['is YAML', 'kind: Snapshot\n', 'this is no JSON: "kind" at byte 0 (line 1)'],
    [
      'is cut off',
      `${JSON.stringify(aSnapshot())}\n{"kind":"Snap`,
      'the input ends in the middle of a value that began at byte',
    ],
  ])('ends with 2 and says where, for a file that %s', async (_, content, message) => {
    const file = aFile(content);

    const { status, error } = await type('replay', file);

    expect(status).toBe(2);
    expect(error).toContain(`headrace replay: ${file}: ${message}`);
  });

  it('prints what it judged before the place where a file is cut off', async () => {
    const { out } = await type('replay', aFile(`${JSON.stringify(aSnapshot())}\n{"kind":"Snap`));

    expect(parseLines(out)).toMatchObject([{ name: 'orders', desiredReplicas: 4 }]);
  });

  it.each([
    [[], 'one file must be named'],
    [['a', 'b'], 'one file must be named'],
    [['--dry-run', 'a'], "Unknown option '--dry-run'"],
    [['/no/such/file'], 'reading /no/such/file: ENOENT'],
    [['/'], 'reading /: EISDIR'],
  ])('typed wrong ends with 2 and says so: %j', async (words, message) => {
    const { status, out, error } = await type('replay', ...words);

    expect({ status, out }).toEqual({ status: 2, out: '' });
    expect(error).toContain(message);
  });

  it('shows a table to people', async () => {
    const broken = { ...aSnapshot({ name: 'bro\u001b[2Jken' }), now: 'noon' };
    const file = aFile(JSON.stringify([aSnapshot(), aSnapshot({ name: 'payments', cpuPercent: 40 }), broken]));

    const { status, out } = await type('replay', '--table', file);

    expect(status).toBe(1);
    expect(out).toBe(
      [
        'TIME                      CURRENT  DESIRED  RESCALE  REASON                            NAME',
        '2026-03-01T12:00:00.000Z  2        4        yes      SuccessfulRescale                 orders',
        '  scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
        '2026-03-01T12:00:00.000Z  2        2        no       ReadyForNewScale                  payments',
        '  stays at 2: cpu 40%/40%: within the tolerance of 10 %',
        'noon                      -        -        -        invalid                           bro [2Jken',
        '  now: must be an RFC 3339 time',
        '',
      ].join('\n'),
    );
  });

  it('ends quietly when its reader has seen enough', async () => {
    const file = aFile(`${JSON.stringify(aSnapshot())}\n`.repeat(5000));
    const bin = fileURLToPath(new URL('../../shared/cli/bin.ts', import.meta.url));
    const child = spawn(process.execPath, [bin, 'replay', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    const ended = once(child, 'close');
    let error = '';
    child.stderr.on('data', (chunk) => {
      error += chunk;
    });

    await once(child.stdout, 'data');
    child.stdout.destroy();
    const [status] = await ended;

    expect({ status, error }).toEqual({ status: 0, error: '' });
  });

  it('explains itself', async () => {
    const { status, out } = await type('replay', '--help');

    expect(status).toBe(0);
    for (const text of ['--carry', '--table', 'Exit status:', 'Examples:']) expect(out).toContain(text);
  });
});
