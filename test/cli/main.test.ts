import { mkdtempSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startSandbox } from '../../infra/sandbox/server.ts';
import { main } from '../../shared/cli/main.ts';
import { Shard } from '../support/sandbox.ts';

interface Wait {
  readonly milliseconds: number;
  readonly end: () => void;
}

/** Waits that a test lets end: between two ticks or rounds of `run`. All others end at once. */
const pending = vi.hoisted(() => ({ waits: [] as Wait[], begun: () => {} }));

vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: (milliseconds: number, _value: unknown, options?: { signal?: AbortSignal }) => {
    if (options?.signal === undefined || options.signal.aborted) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    options.signal.addEventListener('abort', () => resolve());
    pending.waits.push({ milliseconds, end: resolve });
    pending.begun();
    return promise;
  },
}));

let shard: Shard;
let folder: string;
let kubeconfig: string;
beforeEach(async () => {
  // The CLI decides by the system's clock, so the sandbox stands where that one is.
  shard = new Shard(await startSandbox({ namespace: 'flink' }));
  folder = mkdtempSync(join(tmpdir(), 'headrace-cli-'));
  kubeconfig = join(folder, 'kubeconfig');
  writeFileSync(kubeconfig, shard.sandbox.kubeconfig);
  vi.stubEnv('KUBECONFIG', kubeconfig);
  vi.stubEnv('HOME', folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.useRealTimers();
  pending.waits.length = 0;
  await shard.close();
  await rm(folder, { recursive: true });
});

interface Run {
  readonly status: number;
  readonly out: string;
  readonly error: string;
}

/** Types a command line and waits for its end. */
async function type(...words: string[]): Promise<Run> {
  let out = '';
  let error = '';
  const status = await main(words, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    interrupted: new AbortController().signal,
  });
  return { status, out, error };
}

describe('help', () => {
  it.each([[['--help']], [['-h']], [['help']]])('lists the commands and the exit statuses: %o', async (words) => {
    const { status, out } = await type(...words);

    expect(status).toBe(0);
    expect(out).toMatch(/^headrace: .*\n\nUsage: headrace COMMAND/);
    for (const text of ['check', 'run', 'Exit status:', '--help']) expect(out).toContain(text);
  });

  it.each(['check', 'run'])('explains every option of %s', async (command) => {
    const { status, out } = await type(command, '--help');

    expect(status).toBe(0);
    expect(out).toContain(`Usage: headrace ${command} [OPTIONS]`);
    for (const option of ['--namespace', '--all-namespaces', '--kubeconfig', '--context', '--dry-run', '--output'])
      expect(out).toContain(option);
    expect(out.includes('--scaling-only')).toBe(command === 'run');
  });

  it('comes with status 2 where no command was typed', async () => {
    const { status, out } = await type();

    expect(status).toBe(2);
    expect(out).toContain('Usage: headrace COMMAND');
  });
});

describe('a command typed wrong has status 2', () => {
  it.each([
    [['chekc'], 'headrace: chekc is no command; there is check, run'],
    [['check', '--dryrun'], "Unknown option '--dryrun'"],
    [['check', 'orders'], "Unexpected argument 'orders'"],
    [['check', '--output', 'yaml'], '--output must be table or json, but is yaml'],
    [['check', '-n', 'flink', '-A'], '--namespace and --all-namespaces must not be given together'],
    [['check', '--namespace'], "Option '-n, --namespace <value>' argument missing"],
    [['run', '--every', '5'], "Unknown option '--every'"],
    [['check', '--scaling-only'], "Unknown option '--scaling-only'"],
  ])('%o: %s', async (words, sentence) => {
    const { status, out, error } = await type(...words);

    expect(status).toBe(2);
    expect(out).toBe('');
    expect(error).toContain(sentence);
  });
});

describe('a cluster that cannot be reached or read has status 3', () => {
  it('where there is no kubeconfig, and says how to name one', async () => {
    vi.stubEnv('KUBECONFIG', undefined);

    const { status, error } = await type('check');

    expect(status).toBe(3);
    expect(error).toBe('headrace check: no kubeconfig was found: name one with --kubeconfig or KUBECONFIG\n');
  });

  it('where the kubeconfig is no file, and names it', async () => {
    const { status, error } = await type('check', '--kubeconfig', join(folder, 'none'));

    expect(status).toBe(3);
    expect(error).toContain(`reading the kubeconfig ${join(folder, 'none')}: ENOENT`);
  });

  it('where the kubeconfig is no YAML', async () => {
    writeFileSync(kubeconfig, '{ not: [closed');

    const { status, error } = await type('check', '--kubeconfig', kubeconfig);

    expect(status).toBe(3);
    expect(error).toContain(`reading the kubeconfig ${kubeconfig}: `);
  });

  it('where there is no such context, and names those that there are', async () => {
    const { status, error } = await type('check', '--context', 'prod');

    expect(status).toBe(3);
    expect(error).toBe('headrace check: the kubeconfig has no context prod; it has sandbox\n');
  });

  it('where nobody answers', async () => {
    await shard.sandbox.close();

    const { status, out, error } = await type('check');

    expect(status).toBe(3);
    expect(out).toBe('');
    expect(error).toMatch(/^headrace check: GET \/apis\/headrace\.dev.*no answer: .*ECONNREFUSED/);
  });

  it.each([401, 403, 404])('where the autoscalers are refused with %i', async (code) => {
    shard.sandbox.faults.add({ kind: 'status', code, path: /\/flinkautoscalers/ });

    const { status, error } = await type('check');

    expect(status).toBe(3);
    expect(error).toContain(`: ${code}`);
  });
});

describe('headrace check', () => {
  it('decides, scales and shows a table with the arithmetic', async () => {
    shard.add();

    const { status, out, error } = await type('check');

    const [head = '', row = '', sentence = ''] = out.split('\n');
    expect({ status, error }).toEqual({ status: 0, error: '' });
    expect(head.split(/ {2,}/)).toEqual([
      'NAMESPACE',
      'NAME',
      'REFERENCE',
      'TARGETS',
      'MIN',
      'MAX',
      'REPLICAS',
      'DESIRED',
      'OUTCOME',
      'REASON',
    ]);
    expect(row.split(/ {2,}/)).toEqual([
      'flink',
      'orders',
      'FlinkApplication/orders',
      'cpu: 80%/40%',
      '1',
      '20',
      '2',
      '4',
      'rescaled',
      'SuccessfulRescale',
    ]);
    expect(sentence.trim()).toBe('scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4');
    expect(shard.size()).toBe(4);
  });

  it('aligns its columns, whatever their width', async () => {
    for (const name of ['a', 'a-rather-long-name']) shard.add({ name });

    const { out } = await type('check');

    const columns = out
      .split('\n')
      .flatMap((line) => (/^(?! )/.test(line) ? [line.search(/REFERENCE|FlinkApplication\//)] : []));
    expect(new Set(columns.filter((column) => column >= 0)).size).toBe(1);
  });

  it('shows the same as one JSON document', async () => {
    shard.add();
    const time = new Date(Math.floor(Date.now() / 1000) * 1000);

    const { status, out } = await type('check', '--output', 'json');

    const report = JSON.parse(out);
    expect(status).toBe(0);
    expect(report).toMatchObject({
      cluster: 'sandbox',
      autoscalers: [
        {
          namespace: 'flink',
          name: 'orders',
          target: 'FlinkApplication/orders',
          currentReplicas: 2,
          desiredReplicas: 4,
          rescale: true,
          outcome: 'rescaled',
          reason: 'SuccessfulRescale',
          message: 'scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4',
          error: null,
        },
      ],
    });
    expect(report.time).toMatch(/Z$/);
    expect(Date.parse(report.time)).toBeGreaterThanOrEqual(time.getTime());
  });

  it('writes nothing with --dry-run', async () => {
    shard.add({ isSeeded: false });

    const { status, out } = await type('check', '--dry-run', '-o', 'json');

    expect(status).toBe(0);
    expect(JSON.parse(out).autoscalers).toMatchObject([{ desiredReplicas: 4, rescale: true, outcome: 'unchanged' }]);
    expect(shard.writes).toEqual([]);
  });

  it.each([
    ['the namespace of the context', [], ['flink']],
    ['the namespace that is named', ['-n', 'other'], ['other']],
    ['every namespace', ['-A'], ['flink', 'other']],
  ])('looks at %s', async (_what, words, namespaces) => {
    shard.add();
    shard.add({ namespace: 'other' });

    const { out } = await type('check', '-o', 'json', ...words);

    const found = JSON.parse(out).autoscalers.map(({ namespace }: { namespace: string }) => namespace);
    expect(found.sort()).toEqual(namespaces);
  });

  it('says where it found nothing', async () => {
    const inContext = await type('check');
    const anywhere = await type('check', '-A');

    expect(inContext).toMatchObject({ status: 0, out: 'No FlinkAutoscaler found in flink.\n' });
    expect(anywhere).toMatchObject({ status: 0, out: 'No FlinkAutoscaler found in any namespace.\n' });
  });

  it('has status 1 when one autoscaler could not be judged, and serves the others', async () => {
    shard.add();
    shard.addAutoscaler({ name: 'lonely' });

    const { status, out } = await type('check');

    expect(status).toBe(1);
    expect(out).toContain('flinkapplications.flink.k8s.io "lonely" not found');
    expect(shard.size()).toBe(4);
  });

  it('has status 1 when a target does not deploy what it was asked for, and shows what runs', async () => {
    shard.add();
    shard.change('FlinkApplication', 'orders', ({ status }) => ({
      status: {
        ...status,
        conditions: [{ type: 'SpecValid', status: 'False', reason: 'InvalidSpec', message: 'spec.uiPort is "x".' }],
        clusterStatus: { numberOfTaskManagers: 1 },
      },
    }));

    const table = await type('check', '--dry-run');
    const json = await type('check', '--dry-run', '-o', 'json');

    const blocker = 'asked for 2, 1 run: its spec is invalid: spec.uiPort is "x".';
    expect([table.status, json.status]).toEqual([1, 1]);
    expect(table.out).toMatch(/ 1 +4 +unchanged/);
    expect(table.out).toContain(`scales from 2 to 4: cpu 80%/40%: ceil(2 × 80/40) = 4; ${blocker}`);
    expect(JSON.parse(json.out).autoscalers).toMatchObject([{ currentReplicas: 1, desiredReplicas: 4, blocker }]);
  });

  it.each([
    ['JobFinished', 0],
    ['JobFailed', 1],
  ])('says that a job does not run, with status as it ended: %s has %i', async (reason, expected) => {
    shard.add();
    shard.change('FlinkApplication', 'orders', ({ status }) => ({
      status: {
        ...status,
        conditions: [{ type: 'JobRunning', status: 'False', reason, message: 'Job 7 is no more' }],
      },
    }));

    const { status, out } = await type('check');

    expect(status).toBe(expected);
    expect(out).toContain('JobNotRunning');
    expect(out).toContain('FlinkApplication orders is not scaled, since its job does not run: Job 7 is no more');
    expect(shard.size()).toBe(2);
  });

  it('has status 1 when a size could not be written', async () => {
    shard.add();
    shard.sandbox.faults.add({ kind: 'status', code: 403, path: /\/scale\?/ });

    const { status, out } = await type('check');

    expect(status).toBe(1);
    expect(out).toMatch(/flink +orders .* failed /);
    expect(out).toContain('403 Forbidden');
  });

  it.each(['UTC', 'Pacific/Kiritimati', 'America/Los_Angeles'])(
    'shows times in UTC wherever it runs: %s',
    async (zone) => {
      vi.stubEnv('TZ', zone);
      shard.add();

      const { out } = await type('check', '-o', 'json');

      expect(Math.abs(Date.parse(JSON.parse(out).time) - Date.now())).toBeLessThan(60_000);
      expect(shard.status().lastDecision?.time).toBe(JSON.parse(out).time);
    },
  );
});

/** Starts `run`; `line` waits for the next line that it writes. */
function startRun(...words: string[]) {
  const interrupt = new AbortController();
  const lines: string[] = [];
  let seen = 0;
  let wake = () => {};
  const status = main(['run', ...words], {
    out: (text) => {
      lines.push(...text.trimEnd().split('\n'));
      wake();
    },
    error: () => {},
    interrupted: interrupt.signal,
  });
  const line = async (): Promise<string> => {
    while (lines.length === seen) await new Promise<void>((resolve) => (wake = resolve));
    seen += 1;
    return lines[seen - 1] ?? '';
  };
  return { line, lines, interrupt: () => interrupt.abort(), status };
}

/** The next wait that lasts so long; any, where that is not said. */
async function nextWait(milliseconds?: number): Promise<Wait> {
  for (;;) {
    const index = pending.waits.findIndex((wait) => milliseconds === undefined || wait.milliseconds === milliseconds);
    if (index >= 0) return pending.waits.splice(index, 1)[0] as Wait;
    await new Promise<void>((resolve) => (pending.begun = resolve));
  }
}

describe('headrace run, scaling', () => {
  it('tells each decision in a line, and ends well when it is interrupted', async () => {
    shard.add();
    const run = startRun('--scaling-only');

    const line = await run.line();
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:.]+Z flink\/orders SuccessfulRescale: scales from 2 to 4: cpu 80%\/40%: ceil\(2 × 80\/40\) = 4$/,
    );
    expect(shard.size()).toBe(4);
  });

  it('tells the same as JSON, a line a document', async () => {
    shard.add();
    const run = startRun('--scaling-only', '-o', 'json');

    const line = JSON.parse(await run.line());
    run.interrupt();
    await run.status;

    expect(line).toMatchObject({ level: 'info', message: 'decided', autoscaler: 'flink/orders', desiredReplicas: 4 });
    expect(line.explanation).toContain('ceil(2 × 80/40) = 4');
  });

  it('survives a tick that fails: it tells it, and the next one tries again', async () => {
    shard.add();
    const fault = shard.sandbox.faults.add({ kind: 'status', code: 503, path: /\/flinkautoscalers/ });
    const run = startRun('--scaling-only');

    const failed = await run.line();
    fault.remove();
    (await nextWait()).end();
    const scaled = await run.line();
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(failed).toMatch(/ tick failed GET \/apis\/headrace\.dev.*503/);
    expect(scaled).toContain('scales from 2 to 4');
  });

  it('goes on from tick to tick', async () => {
    shard.add({ usagePercent: 40 });
    const run = startRun('--scaling-only');

    await run.line();
    for (let tick = 0; tick < 3; tick += 1) (await nextWait()).end();
    await nextWait();
    run.interrupt();

    expect(await run.status).toBe(0);
    const lists = shard.sandbox.requests.filter(({ path }) => path.endsWith('/flinkautoscalers'));
    expect(lists).toHaveLength(4);
  });
});

describe('headrace run, deploying', () => {
  const NOW = Date.parse('2026-11-22T10:00:20Z');
  const MINUTE = 40_000;
  const TICK = 10_000;
  const COME_BACK = 2000;

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: NOW });
    shard.sandbox.clock.set(NOW);
  });

  const requests = (end: string) => shard.sandbox.requests.filter(({ path }) => path.endsWith(end));
  const deployments = () =>
    shard.sandbox.store.list('Deployment').map(({ metadata }) => metadata.labels?.['flink-app']);

  it('tells each phase in a line, and ends well when it is interrupted', async () => {
    shard.handIn('orders');
    const run = startRun();

    await nextWait(COME_BACK);
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(run.lines[0]).toMatch(/^2026-11-22T10:00:20Z flink\/orders \(new\) → [A-Z][A-Za-z]+$/);
    expect(run.lines.at(-1)).toMatch(/ flink\/orders .* → ClusterStarting$/);
    expect(deployments()).toEqual(['orders', 'orders']);
  });

  it('tells the same as JSON', async () => {
    shard.handIn('orders');
    const run = startRun('-o', 'json');

    const line = JSON.parse(await run.line());
    await nextWait(COME_BACK);
    run.interrupt();
    await run.status;

    expect(line).toMatchObject({ level: 'info', message: 'phase', application: 'flink/orders', from: '' });
  });

  it('looks at those on their way again after 2 s, and at nothing else', async () => {
    shard.handIn('orders');
    const run = startRun();
    const wait = await nextWait(COME_BACK);
    await nextWait(TICK);
    shard.handIn('payments');
    shard.sandbox.requests.clear();

    wait.end();
    await vi.waitFor(() => expect(requests('/flinkapplications/orders')).not.toEqual([]));
    run.interrupt();
    await run.status;

    expect(requests('/flinkapplications')).toEqual([]);
    expect(requests('/flinkapplications/payments')).toEqual([]);
  });

  it('looks at everything when the next minute begins', async () => {
    const run = startRun('--namespace', 'flink');
    const wait = await nextWait(MINUTE);
    shard.handIn('orders');

    vi.setSystemTime(NOW + MINUTE);
    wait.end();
    await nextWait(COME_BACK);
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(deployments()).toEqual(['orders', 'orders']);
  });

  it('looks at once at what a tick finds changed', async () => {
    const run = startRun();
    await nextWait(MINUTE);
    const tick = await nextWait(TICK);
    shard.handIn('orders');

    tick.end();
    await nextWait(COME_BACK);
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(deployments()).toEqual(['orders', 'orders']);
  });

  it('survives a round that fails: it tells it, and the next one tries again', async () => {
    shard.handIn('orders');
    const fault = shard.sandbox.faults.add({ kind: 'status', code: 403, path: /\/deployments/ });
    const run = startRun('--namespace', 'flink');

    const wait = await nextWait(MINUTE);
    fault.remove();
    vi.setSystemTime(NOW + MINUTE);
    wait.end();
    await nextWait(COME_BACK);
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(run.lines[0]).toMatch(/ round failed GET \/apis\/apps\/v1\/namespaces\/flink\/deployments.*403/);
    expect(run.lines.at(-1)).toMatch(/ → ClusterStarting$/);
  });

  it.each(['--scaling-only', '--dry-run'])('deploys nothing with %s', async (option) => {
    shard.handIn('orders');
    const run = startRun(option);

    (await nextWait(TICK)).end();
    await nextWait(TICK);
    run.interrupt();

    expect(await run.status).toBe(0);
    expect(shard.writes).toEqual([]);
    expect(requests('/deployments')).toEqual([]);
  });
});

it('writes nothing with headrace run --dry-run', async () => {
  shard.add();
  const run = startRun('--dry-run');

  await nextWait();
  run.interrupt();

  expect(await run.status).toBe(0);
  expect(shard.writes).toEqual([]);
});
