// A deployment through the exported functions alone: EventBridge's minutes, ticks, rounds, and the rounds that those call for.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Triggers } from '../../infra/sandbox/triggers.ts';
import { type Deployments, NEXT_IMAGE, noDeployments } from '../support/deployments.ts';
import { anAutoscaler, captureLog, coldStart, LOUD, START } from '../support/sandbox.ts';

const MINUTE_SECONDS = 60;

let world: Deployments;
let triggers: Triggers | undefined;
let lastMinute: number;
beforeEach(async () => {
  vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'SILENT');
  vi.stubEnv('POWERTOOLS_METRICS_DISABLED', 'true');
  world = await noDeployments();
  lastMinute = -1;
});
afterEach(async () => {
  triggers?.close();
  triggers = undefined;
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await world.sandbox.close();
});

/** RFC 3339. */
const timeIn = (seconds: number) => new Date(world.sandbox.clock.now() + seconds * 1000).toISOString();

const passedSeconds = () => (world.sandbox.clock.now() - START) / 1000;

/** Lets AWS do its work second by second, until something holds. @returns how many seconds that took */
async function passUntil(holds: () => boolean, { seconds = 300 } = {}): Promise<number> {
  vi.resetModules();
  const { connectTriggers } = await import('../../infra/sandbox/triggers.ts');
  triggers ??= await connectTriggers(world.sandbox);
  for (let passed = 0; passed <= seconds; passed += 1) {
    const minute = Math.floor(passedSeconds() / MINUTE_SECONDS);
    if (minute !== lastMinute) await triggers.minute();
    lastMinute = minute;
    await triggers.poll();
    if (holds()) return passed;
    world.sandbox.clock.advance(1);
  }
  throw new Error(`it does not hold within ${seconds} s: ${JSON.stringify(world.find()?.status)}`);
}

const pass = (seconds: number) => {
  const end = passedSeconds() + seconds;
  return passUntil(() => passedSeconds() >= end);
};

const isRunning = () => world.status().phase === 'Running' && world.status().rollout === undefined;

describe('the functions', () => {
  it('deploy an application that was handed in between two minutes: a tick notices it', async () => {
    await pass(7);
    world.add();

    const noticed = await passUntil(() => world.find()?.status?.phase !== undefined);
    await passUntil(isRunning);

    expect(noticed).toBe(8);
    expect(world.livingJobs()).toMatchObject([{ state: 'RUNNING' }]);
  });

  it('notice an edit with the next tick, and see it through', async () => {
    world.add();
    await passUntil(isRunning);
    await pass(MINUTE_SECONDS - (passedSeconds() % MINUTE_SECONDS) + 16);
    world.edit((spec) => ({ ...spec, image: NEXT_IMAGE }));

    const noticed = await passUntil(() => !isRunning());
    await passUntil(isRunning);

    expect(noticed).toBe(14);
    expect(world.runs()).toHaveLength(2);
    expect(world.livingJobs()).toHaveLength(1);
  });

  it('look at an application in the very second in which it is rescaled', async () => {
    world.add({ taskManagerConfig: { replicas: 2 } });
    await passUntil(isRunning);
    world.sandbox.store.put(anAutoscaler({ name: 'orders', spec: { minReplicas: 3 } }));

    await passUntil(() => !isRunning());

    const wrote = world.sandbox.requests.filter(
      ({ path, method }) => method === 'PATCH' && path.endsWith('/orders/scale'),
    );
    expect(wrote.at(-1)?.time).toBe(world.sandbox.clock.now());
  });

  it('call for one round a minute at rest', async () => {
    world.add();
    await passUntil(isRunning);
    await pass(2 * MINUTE_SECONDS - (passedSeconds() % MINUTE_SECONDS));
    world.sandbox.requests.clear();

    await pass(5 * MINUTE_SECONDS);

    const lists = world.sandbox.requests.filter(({ path }) => path === '/apis/apps/v1/deployments');
    expect(lists.map(({ time }) => ((time - START) / 1000) % MINUTE_SECONDS)).toEqual(Array(5).fill(0));
    expect(world.sandbox.reconcileQueue.messages).toEqual([]);
  });

  it('never have more than one round called for at a time, however long a deploy takes', async () => {
    world.sandbox.workloads.configure({ startSeconds: 70 });
    world.add();
    const waiting: number[] = [];

    await passUntil(() => {
      waiting.push(world.sandbox.reconcileQueue.messages.length);
      return isRunning();
    });

    expect(waiting.length).toBeGreaterThan(70);
    expect(Math.max(...waiting)).toBe(1);
  });

  it('deploy once a minute where reconcile cannot call for rounds, and warn of it', async () => {
    const log = captureLog();
    const reconcile = await coldStart('reconcile', {
      ...world.sandbox.env,
      ...LOUD,
      HEADRACE_RECONCILE_QUEUE_URL: `${world.sandbox.url}/000000000000/unreachable`,
    });
    world.add();

    let minutes = 0;
    for (; minutes < 10 && !isRunning(); minutes += 1) {
      const [dueTime, until] = [0, MINUTE_SECONDS].map((seconds) => timeIn(seconds));
      const body = JSON.stringify({ cluster: 'sandbox', shard: 'default', dueTime, until });
      await reconcile({ Records: [{ messageId: String(minutes), body }] });
      world.sandbox.clock.advance(MINUTE_SECONDS);
    }

    expect(isRunning()).toBe(true);
    expect(minutes).toBeGreaterThan(1);
    const warnings = log.filter(({ level }) => level === 'WARN').map(({ message }) => message);
    expect(warnings).toEqual(Array(minutes - 1).fill('round not called for'));
  });
});
