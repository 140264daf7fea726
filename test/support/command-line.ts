// Types a command line, in this process or in one of its own.

import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { main } from '../../shared/cli/main.ts';

export interface Run {
  readonly status: number | null;
  readonly out: string;
  readonly error: string;
}

/** Types a command line and waits for its end. */
export async function type(...words: readonly string[]): Promise<Run> {
  let out = '';
  let error = '';
  const status = await main(words, {
    out: (written) => {
      out += written;
    },
    error: (written) => {
      error += written;
    },
    interrupted: new AbortController().signal,
  });
  return { status, out, error };
}

const BIN = fileURLToPath(new URL('../../shared/cli/bin.ts', import.meta.url));

/** The same in a process of its own, with something on its standard input. */
export async function typeInProcess(input: string | Uint8Array, ...words: readonly string[]): Promise<Run> {
  const child = spawn(process.execPath, [BIN, ...words], { stdio: 'pipe' });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [out, error, status] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { status, out, error };
}
