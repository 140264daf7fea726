// A deploy whose process is killed at one of its calls, once before the call takes effect and once when it has and its answer is
// lost. From then on nothing of that process reaches the server; fresh ones go on two seconds later.
//
// Every call is a point at which it is killed, but only a write leaves another world behind: a process that dies at one read or at
// the next leaves the same objects, the same jobs and the same instant. Points that leave the same world are told apart in the
// count, and the first and the last of each world are played to the end, so that every write is killed before and after its effect.
// With EVERY_KILL_POINT=1 in the environment all of them are.

import { describe, expect, it } from 'vitest';
import type { SandboxRequest } from '../../infra/sandbox/exchange.ts';
import { expectNothingLost, outcomeOf } from './deploy-outcome.ts';
import type { Scenario } from './deploy-scenarios.ts';
import { type Deployments, STEP_SECONDS } from './deployments.ts';

type Moment = 'before' | 'after';

interface KillPoint {
  readonly moment: Moment;
  /** "GET /apis/… #3": the third that looks like this. */
  readonly request: string;
  /** The round, and how many writes have taken effect in it: what such a death leaves behind. */
  readonly world: string;
}

/** A deploy that takes so much longer than an undisturbed one has not noticed at once what the dead process had done. */
const LOST_ROUNDS = 3;
const LONGEST_SECONDS = 400;

/** Kills the process at every call of a scenario in turn. */
export function describeKillPoints(scenario: Scenario): void {
  describe(`a process killed while it ${scenario.name}`, async () => {
    const { points, seconds, outcome, changingReads } = await playUndisturbed(scenario);
    const worlds = Map.groupBy(points, ({ world }) => world);
    const played = process.env.EVERY_KILL_POINT ? points : [...worlds.values()].flatMap(firstAndLast);
    console.info(
      `${scenario.name}: ${points.length / 2} calls, ${points.length} points at which it is killed, ` +
        `which leave ${worlds.size} different worlds; ${played.length} played to the end`,
    );

    it('comes to the end that is wanted when it is not killed', () => {
      expect(outcome).toMatchObject(scenario.outcome);
    });

    it('leaves the world as it is when it only reads', () => {
      expect(changingReads).toEqual([]);
    });

    it.each(played.map((point) => [point.moment, point.request, point] as const))(
      'comes to the same end: killed %s %s',
      async (_moment, _request, point) => {
        const deployments = await scenario.prepare();

        const killed = await play(scenario, deployments, point);
        const ended = outcomeOf(deployments);
        await expectNothingLost(deployments, scenario);
        await deployments.close();

        expect(killed.wasKilled).toBe(true);
        expect(ended).toEqual(outcome);
        expect(killed.seconds).toBeLessThanOrEqual(seconds + LOST_ROUNDS * (scenario.stepSeconds ?? STEP_SECONDS));
      },
    );
  });
}

/** Right after one write took effect, and right before the next would have. */
function firstAndLast(points: readonly KillPoint[]): KillPoint[] {
  return [...new Set([points.at(0), points.at(-1)])].filter((point) => point !== undefined);
}

interface Undisturbed {
  readonly points: readonly KillPoint[];
  readonly seconds: number;
  readonly outcome: object;
  /** Reads after which the world was not what it had been before. */
  readonly changingReads: readonly string[];
}

async function playUndisturbed(scenario: Scenario): Promise<Undisturbed> {
  const deployments = await scenario.prepare();
  const points: KillPoint[] = [];
  const changingReads: string[] = [];
  const worldsBefore = new Map<string, string>();
  const worldNow = watchWorld(deployments);
  let [time, writes] = [0, 0];
  const note = (moment: Moment, name: string) => points.push({ moment, request: name, world: `${time} ${writes}` });
  watchProcess(deployments, {
    before: (name) => {
      const now = deployments.sandbox.clock.now();
      if (now !== time) [time, writes] = [now, 0];
      worldsBefore.set(name, worldNow());
      note('before', name);
    },
    after: (name) => {
      if (!name.startsWith('GET')) writes += 1;
      else if (worldNow() !== worldsBefore.get(name)) changingReads.push(name);
      note('after', name);
    },
  });
  const { seconds } = await play(scenario, deployments);
  const outcome = outcomeOf(deployments);
  await expectNothingLost(deployments, scenario);
  await deployments.close();
  return { points, seconds, outcome, changingReads };
}

/** Tells worlds apart: by how often an object has changed, and by what the jobs do. */
function watchWorld(deployments: Deployments): () => string {
  let changes = 0;
  deployments.sandbox.store.subscribe(() => {
    changes += 1;
  });
  return () => `${changes} ${JSON.stringify(deployments.jobs())}`;
}

interface Played {
  readonly seconds: number;
  readonly wasKilled: boolean;
}

/** Plays a scenario to its end, with a fresh process for each round. The one that comes to the point dies there. */
async function play(scenario: Scenario, deployments: Deployments, point?: KillPoint): Promise<Played> {
  const { isOver, stepSeconds = STEP_SECONDS } = scenario;
  const process = point && killAt(deployments, point);
  for (let seconds = 0; seconds < LONGEST_SECONDS; seconds += stepSeconds) {
    // It may be that nothing could be listed, or that the dead hear of nothing: either way the next round goes on.
    await deployments.round().catch((error: unknown) => {
      if (process?.isDead !== true) throw error;
    });
    if (process?.isDead) process.bury();
    if (isOver(deployments)) return { seconds, wasKilled: process?.isDead === true };
    deployments.sandbox.clock.advance(stepSeconds);
  }
  const { status } = deployments.find() ?? {};
  throw new Error(`not over after ${LONGEST_SECONDS} s: ${JSON.stringify({ status, jobs: deployments.jobs() })}`);
}

/** Lets the process die at one point; until it is buried, nothing of it reaches the server. */
function killAt(deployments: Deployments, { request, moment }: KillPoint) {
  const process = { isDead: false, bury: () => {} };
  const refuse = (name: string, now: Moment) => {
    if (name === request && moment === now) process.isDead = true;
    if (process.isDead) throw new Error('this process is dead');
  };
  process.bury = watchProcess(deployments, {
    before: (name) => refuse(name, 'before'),
    after: (name) => refuse(name, 'after'),
  });
  return process;
}

/** Ids of jobs, savepoints, clusters and keepers follow from the application's uid, and so does what a Deployment calls its pods. */
function withoutChance(path: string): string {
  return path
    .replaceAll(/[0-9a-f]{32}/g, ':id')
    .replace(/-[0-9a-z]{6}(-cluster-config-map)$/, '-…$1')
    .replace(/(-keeper-)[-0-9a-f]{36}$/, '$1:uid')
    .replace(/(-[jt]m-)[0-9a-f]{10}(-\w{5})$/, '$1…$2');
}

interface Watch {
  readonly before: (request: string) => void;
  readonly after: (request: string) => void;
}

/** Names the calls of rounds as they come: the second of two that look alike is #2. @returns what ends it */
function watchProcess({ sandbox: { hooks } }: Deployments, watch: Watch): () => void {
  const names = new WeakMap<SandboxRequest, string>();
  const counts = new Map<string, number>();
  const stopBefore = hooks.before((request) => {
    if (request.headers['x-tick'] !== 'only') return;
    const look = `${request.method} ${withoutChance(request.path)}`;
    const count = (counts.get(look) ?? 0) + 1;
    counts.set(look, count);
    names.set(request, `${look} #${count}`);
    watch.before(`${look} #${count}`);
  });
  const stopAfter = hooks.after((request) => {
    const name = names.get(request);
    if (name !== undefined) watch.after(name);
  });
  return () => {
    stopBefore();
    stopAfter();
  };
}
