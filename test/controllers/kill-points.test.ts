// A Lambda can end between any two of its calls: out of time, out of memory, its host gone. Here it ends at each of them, once
// before the call is made and once when it has taken effect and its answer is lost; the next ticks must come to the same end.

import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { SandboxRequest } from '../../infra/sandbox/exchange.ts';
import { aShard, aTickEvent, coldStart, type Shard } from '../support/sandbox.ts';

// A dead process waits for nothing, and here its retries need not wait either.
vi.mock('node:timers/promises', async (original) => ({
  ...(await original<typeof import('node:timers/promises')>()),
  setTimeout: async () => {},
}));

interface Scenario {
  readonly name: string;
  /** Brings a shard to just before the tick that is killed. */
  readonly prepare: () => Promise<Shard>;
  /** Every size that the application may ever have, in this order. */
  readonly sizes: readonly (number | undefined)[];
  readonly scaleEvents: readonly number[];
  readonly scaleBasis: { readonly parallelism: number; readonly taskSlots: number };
}

const shrinkAtOnce = { controller: { downscaleStabilizationSeconds: 0 } };

const scenarios: readonly Scenario[] = [
  {
    name: 'grows',
    prepare: () => aShard({ usagePercent: 80 }),
    sizes: [2, 4],
    scaleEvents: [2],
    scaleBasis: { parallelism: 4, taskSlots: 2 },
  },
  {
    name: 'shrinks',
    prepare: () => aShard({ taskManagers: 4, usagePercent: 20, spec: shrinkAtOnce }),
    sizes: [4, 2],
    scaleEvents: [-2],
    scaleBasis: { parallelism: 8, taskSlots: 2 },
  },
  {
    name: 'gives an application its first size',
    prepare: () => aShard({ usagePercent: 40, isSeeded: false }),
    sizes: [undefined, 2],
    scaleEvents: [],
    scaleBasis: { parallelism: 4, taskSlots: 2 },
  },
  {
    name: 'gives an application its first size and grows',
    prepare: () => aShard({ usagePercent: 80, isSeeded: false }),
    sizes: [undefined, 2, 4],
    scaleEvents: [2],
    scaleBasis: { parallelism: 4, taskSlots: 2 },
  },
  {
    name: 'follows an edit of parallelism',
    prepare: anEditedShard,
    sizes: [2, 3],
    scaleEvents: [],
    scaleBasis: { parallelism: 6, taskSlots: 2 },
  },
];

/** The user has just written parallelism 6 where 4 was, and 3 TaskManagers are right for the load. */
async function anEditedShard(): Promise<Shard> {
  const shard = await aShard({ usagePercent: 60 });
  shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism: 6 } }));
  return shard;
}

const TICKS_AFTERWARDS = 4;

async function invokeTick({ sandbox }: Shard): Promise<void> {
  const invoke = await coldStart('scale-check', sandbox.env);
  await invoke(aTickEvent({ dueTime: sandbox.clock.now() }));
}

async function invokeTicksAfterwards(shard: Shard): Promise<void> {
  for (let count = 0; count < TICKS_AFTERWARDS; count += 1) {
    shard.passPeriod();
    await invokeTick(shard);
  }
}

/** One request of a tick; the second of two that look alike is #2. */
type RequestName = string;

/** Names requests in the order in which they come. */
function createNaming(): (request: SandboxRequest) => RequestName {
  const counts = new Map<string, number>();
  return ({ method, path }) => {
    const count = (counts.get(`${method} ${path}`) ?? 0) + 1;
    counts.set(`${method} ${path}`, count);
    return count === 1 ? `${method} ${path}` : `${method} ${path} #${count}`;
  };
}

async function listRequests({ prepare }: Scenario): Promise<readonly RequestName[]> {
  const shard = await prepare();
  const names: RequestName[] = [];
  const nameOf = createNaming();
  shard.sandbox.hooks.before((request) => {
    if (request.path !== '/clock') names.push(nameOf(request));
  });
  await invokeTick(shard);
  await shard.close();
  return names;
}

type Moment = 'before' | 'after';

/** Runs a tick whose process ends at one request: from then on nothing of it reaches the server. Tells whether it came to that. */
async function invokeTickAndKill(shard: Shard, killedAt: RequestName, moment: Moment): Promise<boolean> {
  const { hooks } = shard.sandbox;
  let isDead = false;
  const nameOf = createNaming();
  const fatal = new WeakSet<SandboxRequest>();
  const stopBefore = hooks.before((request) => {
    if (isDead) throw new Error('nobody is there to send this');
    if (request.path === '/clock' || nameOf(request) !== killedAt) return;
    fatal.add(request);
    isDead = moment === 'before';
    if (isDead) throw new Error('killed before the request was sent');
  });
  const stopAfter = hooks.after((request) => {
    if (isDead) throw new Error('nobody is there to hear this');
    if (!fatal.has(request)) return;
    isDead = true;
    throw new Error('killed before the answer came');
  });
  await invokeTick(shard).catch(() => {});
  stopBefore();
  stopAfter();
  return isDead;
}

/** What must be the same however the tick ended. */
function outcomeOf(shard: Shard): object {
  const { scaleEvents = [], pendingRescale, currentReplicas, desiredReplicas } = shard.status();
  return {
    size: shard.size(),
    scaleBasis: shard.get('FlinkApplication', 'orders').status?.scaleBasis,
    scaleEvents: scaleEvents.map(({ change }) => change),
    pendingRescale,
    currentReplicas,
    desiredReplicas,
    conditions: shard.conditions(),
  };
}

let shard: Shard;
afterEach(() => shard.close());

describe.each(scenarios)('a process killed while it $name', async (scenario) => {
  const requests = await listRequests(scenario);
  const moments: readonly Moment[] = ['before', 'after'];
  const killPoints = requests.flatMap((request) => moments.map((moment) => [moment, request] as const));
  console.info(`${scenario.name}: ${requests.length} requests, ${killPoints.length} points at which it is killed`);
  let undisturbed: object;

  beforeAll(async () => {
    shard = await scenario.prepare();
    await invokeTick(shard);
    await invokeTicksAfterwards(shard);
    undisturbed = outcomeOf(shard);
    await shard.close();
  });

  it('is killed before and after each of its requests', async () => {
    shard = await scenario.prepare();

    expect(requests.length).toBeGreaterThan(0);
    expect(killPoints).toHaveLength(2 * requests.length);
    expect(undisturbed).toMatchObject({
      size: scenario.sizes.at(-1),
      scaleBasis: scenario.scaleBasis,
      scaleEvents: scenario.scaleEvents,
    });
  });

  it.each(killPoints)('comes to the same end: killed %s %s', async (moment, request) => {
    shard = await scenario.prepare();
    const sizes = shard.watchSize();

    const wasKilled = await invokeTickAndKill(shard, request, moment);
    await invokeTicksAfterwards(shard);

    expect(wasKilled).toBe(true);
    expect(sizes).toEqual(scenario.sizes);
    expect(outcomeOf(shard)).toEqual(undisturbed);
  });
});
