// JobManagers that take a question and never answer it: whoever waits for them, the other applications do not.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { type ControlPlane, openCluster } from '../../shared/control-plane.ts';
import { runRound } from '../../shared/controllers/round.ts';
import { type Deployments, NAMESPACE, noDeployments } from '../support/deployments.ts';

let deployments: Deployments;
/** What becomes of a question to the JobManager of an application whose name begins with "hung". */
let fate: 'answered' | 'refused' | 'never answered';
let end: PromiseWithResolvers<void>;
/** The ends of the paths of such questions. */
let asked: (string | undefined)[];

beforeEach(async () => {
  deployments = await noDeployments();
  fate = 'answered';
  end = Promise.withResolvers();
  asked = [];
  deployments.sandbox.hooks.before(async ({ path }) => {
    const [, question] = /\/services\/hung[^/]*\/proxy\/(.*)$/.exec(path) ?? [];
    if (question === undefined) return;
    asked.push(question.split('/').at(-1));
    if (fate === 'refused') throw new Error('no connection');
    if (fate === 'never answered') await end.promise;
  });
});
afterEach(async () => {
  vi.useRealTimers();
  end.resolve();
  await deployments.close();
});

async function deploy(names: readonly string[]): Promise<void> {
  for (const name of names) deployments.add({}, name);
  await deployments.roundsUntil(() => names.every((name) => deployments.status(name).phase === 'Running'));
}

/** From now on, and no question times out before the test says so. */
function hang(): void {
  fate = 'never answered';
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
}

/** Settles when an application enters a phase. */
function entering(name: string, phase: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  deployments.sandbox.store.subscribe(() => deployments.status(name).phase === phase && resolve());
  return promise;
}

const wantNextImage = (name: string) => deployments.edit((spec) => ({ ...spec, image: 'orders:2' }), name);

it('are asked when all others have been, as often as they are more than a round looks at together', async () => {
  const hung = Array.from({ length: 20 }, (_, index) => `hung-${index}`);
  await deploy([...hung, 'orders']);
  fate = 'refused';
  await deployments.round();
  hang();
  wantNextImage('orders');

  const isStarting = entering('orders', 'ClusterStarting');
  const round = deployments.round();
  await isStarting;

  end.resolve();
  await round;
  expect(deployments.conditions('hung-7')).toContain('JobRunning True JobRunning');
});

it('are asked for their jobs alone until they answer', async () => {
  await deploy(['hung']);
  fate = 'refused';
  await deployments.round();
  asked = [];

  await deployments.round();

  expect(new Set(asked)).toEqual(new Set(['jobs']));
});

it('delay no deployment but their own', async () => {
  await deploy(['hung', 'orders']);
  for (const name of ['hung', 'orders']) wantNextImage(name);
  await deployments.rounds(6);
  hang();
  const called: string[][] = [];
  const { promise: isCalled, resolve: tell } = Promise.withResolvers<void>();
  const plane = aPlane(({ applications }) => {
    called.push(applications);
    tell();
  });
  const until = deployments.sandbox.clock.now() + 60_000;

  const round = runRound(plane, { cluster: 'sandbox', shard: 'default', dueTime: until - 60_000, until }, () => {});
  await isDone('orders');
  vi.advanceTimersByTime(3000);
  await isCalled;
  end.resolve();
  await round;

  expect(called).toEqual([['flink/orders'], ['flink/hung']]);
});

/** Settles when nothing has been asked of or for an application in many turns of the event loop. */
async function isDone(name: string): Promise<void> {
  const count = () => deployments.sandbox.requests.filter(({ path }) => path.includes(name)).length;
  const before = count();
  for (let [quiet, seen] = [0, before]; quiet < 200 || seen === before; quiet += 1) {
    await nextTurn();
    if (count() > seen) [quiet, seen] = [0, count()];
  }
}

/** @param call told of the rounds that are called for */
function aPlane(call: (message: { readonly applications: string[] }) => void): ControlPlane {
  const { clock, clusterName: name, url: endpoint, token } = deployments.sandbox;
  const credentials = { headers: async () => ({ authorization: `Bearer ${token}` }), renew: () => {} };
  const cluster = openCluster(name, { endpoint, credentials });
  onTestFinished(() => cluster.client.close());
  return {
    now: async () => clock.now(),
    log: { info: () => {}, warn: () => {}, error: () => {} },
    clusters: [{ name, region: 'eu-west-1', shards: { default: [NAMESPACE] } }],
    cluster: async () => cluster,
    ticks: () => {
      throw new Error('a round has nothing to do with ticks');
    },
    rounds: () => ({ send: async ([message]) => call(JSON.parse(message?.body ?? '')) }),
  };
}
