// Deploys in troubled times: plays a course against the sandbox and says what was not as it must be.

import type { FaultEffect } from '../../infra/sandbox/faults.ts';
import type { ApplicationSpec, ApplicationStatus } from '../../shared/deployment/types.ts';
import { Judge } from './deploy-judge.ts';
import { anApplication, type Deployments, NAMESPACE } from './deployments.ts';
import { Interleaving } from './interleaving.ts';
import type { Course, ImageOptions, Trouble } from './troubled-courses.ts';
import { expectDeleted, expectSettled } from './troubled-ends.ts';

/** The functions end after this, whatever they are at. */
const LONGEST_ROUND_SECONDS = 25;

/**
 * @param trace is told what happens, line by line
 * @returns sentences; none when all was well
 */
export async function complaintsOf(course: Course, trace: (line: string) => void): Promise<readonly string[]> {
  const orders = await anApplication(course.spec);
  const times = new TroubledTimes(orders, trace);
  try {
    await times.play(course);
    return times.complaints;
  } finally {
    await orders.close();
  }
}

interface Passing {
  readonly until: number;
  readonly undo: () => void;
}

/** An application, those who do something to it, and a clock that only moves when they wait. */
export class TroubledTimes {
  readonly orders: Deployments;
  readonly judge: Judge;
  readonly complaints: string[] = [];
  readonly #trace: (line: string) => void;
  readonly #processes: Interleaving<unknown>;
  #passing: readonly Passing[] = [];
  #slow: { readonly name: string; readonly since: number; readonly pace: number } | undefined;
  #rounds = 0;
  #images = 1;

  constructor(orders: Deployments, trace: (line: string) => void) {
    this.orders = orders;
    this.#trace = trace;
    this.judge = new Judge(orders, (complaint) => this.complain(complaint));
    this.#processes = new Interleaving<unknown>({
      sandbox: orders.sandbox,
      tick: (options) => orders.round(options),
    });
  }

  async play({ isDeployed, moments, deletes }: Course): Promise<void> {
    if (isDeployed) await this.until(() => this.orders.status().phase === 'Running');
    const { spec } = this.orders.application();
    for (const { trouble, rounds, seconds } of moments) {
      this.tell(JSON.stringify(trouble));
      await this.#meet(trouble, spec);
      for (let count = 0; count < rounds; count += 1) {
        await this.#round();
        await this.pass(seconds);
      }
      if (rounds === 0) await this.pass(seconds);
      if (this.hasFailed) return;
    }
    await this.#heal();
    this.tell('every trouble is over');
    await (deletes ? expectDeleted(this) : expectSettled(this));
  }

  get hasFailed(): boolean {
    return this.complaints.length > 0;
  }

  complain(complaint: string): void {
    this.complaints.push(complaint);
    this.tell(`NOT AS IT MUST BE: ${complaint}`);
  }

  tell(line: string): void {
    this.#trace(`${new Date(this.orders.sandbox.clock.now()).toISOString().slice(11, 21)} ${line}`);
  }

  /**
   * Rounds as they come, every five seconds on the way and every minute at rest, until something holds or is not as it must be.
   *
   * @returns false when neither comes within `longest` rounds
   */
  async until(holds: () => boolean, longest = 400): Promise<boolean> {
    for (let count = 0; count < longest; count += 1) {
      await this.#round();
      if (this.hasFailed || holds()) return true;
      await this.pass(this.isOnItsWay() ? 5 : 60);
    }
    return false;
  }

  isOnItsWay(): boolean {
    const { phase } = (this.orders.find()?.status ?? {}) as ApplicationStatus;
    return phase !== undefined && !['Running', 'DeployFailed', 'Suspended'].includes(phase);
  }

  /** Lets time pass, and what goes on for a while come to its end. */
  async pass(seconds: number): Promise<void> {
    const { clock } = this.orders.sandbox;
    const { since = Number.POSITIVE_INFINITY } = this.#slow ?? {};
    if (clock.now() + seconds * 1000 > since + LONGEST_ROUND_SECONDS * 1000) await this.#finishSlowRound();
    clock.advance(seconds);
    for (const { undo } of this.#passing.filter(({ until }) => until <= clock.now())) undo();
    this.#passing = this.#passing.filter(({ until }) => until > clock.now());
  }

  async #round(): Promise<void> {
    this.#rounds += 1;
    try {
      await this.orders.round();
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) throw error;
      this.tell(`the round failed: ${(error as Error).message.slice(0, 200)}`);
    }
    const { name = '', pace = 0 } = this.#slow ?? {};
    for (let count = 0; count < pace; count += 1) await this.#processes.step(name);
    this.#look();
  }

  #look(): void {
    const { phase, rollout, failedDeploy, savepointPath } = (this.orders.find()?.status ?? {}) as ApplicationStatus;
    const jobs = this.orders.jobs().map(({ cluster, id, state }) => `${cluster} ${id.slice(0, 6)} ${state}`);
    const words = [phase, rollout?.kind, rollout?.failure?.reason, savepointPath, failedDeploy?.reason, ...jobs];
    this.tell(`  ${words.filter(Boolean).join(', ')}`);
    this.judge.look();
  }

  async #meet(trouble: Trouble, first: object | undefined): Promise<void> {
    const { orders } = this;
    const change = (changes: object) => orders.edit((before) => ({ ...before, ...changes }));
    switch (trouble.kind) {
      case 'nothing':
        return;
      case 'image':
        this.#images += 1;
        this.#describe(`orders:${this.#images}`, trouble.like);
        return orders.changeImage(`orders:${this.#images}`);
      case 'describe':
        return this.#describe(this.judge.specNow().image, trouble.like);
      case 'arguments':
        return change({ programArgs: `--edit ${this.#rounds}` });
      case 'parallelism':
        return change({ parallelism: trouble.parallelism });
      case 'scale':
        // Nobody may scale what has no size yet.
        return orders.scale(trouble.taskManagers).catch(() => {});
      case 'forceRollback':
        return change({ forceRollback: trouble.isForced });
      case 'suspend':
        return change({ suspend: trouble.isSuspended });
      case 'nonce':
        return change({ restartNonce: `nonce ${this.#rounds} ${orders.sandbox.clock.now()}` });
      case 'revert':
        return change(first ?? {});
      case 'killJobManager':
        return attempt(() => orders.killJobManager(this.#hash(trouble.ofNew)));
      case 'killTaskManager':
        return attempt(() => orders.killTaskManager());
      case 'failJob':
        return attempt(() => orders.failJob({ isFatal: trouble.isFatal }));
      case 'cancelJob':
        return attempt(() => orders.sandbox.flink.cancelJob(NAMESPACE, 'orders'));
      case 'silence':
        return this.#silence(trouble);
      case 'refusal':
        return this.#refuse(trouble);
      case 'killRound':
        return this.#killRound(trouble);
      case 'overlap':
        return this.#beginSlowRound(trouble);
      default:
        return trouble satisfies never;
    }
  }

  /** Of the cluster that is being deployed, or else of the one that is. */
  #hash(ofNew: boolean): string {
    const { rollout, deployHash } = this.orders.status();
    return (ofNew ? rollout?.hash : undefined) ?? deployHash ?? 'none';
  }

  #describe(image: string, { pullable = true, jar = {} }: ImageOptions): void {
    this.judge.describe(image, { pullable, jar });
    this.orders.sandbox.flink.image(image, { pullable, jars: { 'orders.jar': jar } });
  }

  #silence({ ofNew, seconds, losesAnswers }: Extract<Trouble, { kind: 'silence' }>): void {
    const unreachable = { kind: 'status', code: 503, body: 'error trying to reach service: i/o timeout' } as const;
    const effect: FaultEffect = losesAnswers ? { kind: 'drop-after' } : unreachable;
    const fault = this.orders.sandbox.faults.add({ path: new RegExp(`/orders-${this.#hash(ofNew)}:`), ...effect });
    this.#goesOnFor(seconds, () => fault.remove());
  }

  #refuse({ code, method, times }: Extract<Trouble, { kind: 'refusal' }>): void {
    const path = /^\/api(?!.*\/proxy\/)/;
    const fault = this.orders.sandbox.faults.add({ kind: 'status', code, method, path, times });
    this.#goesOnFor(60, () => fault.remove());
  }

  #goesOnFor(seconds: number, undo: () => void): void {
    const until = this.orders.sandbox.clock.now() + seconds * 1000;
    this.#passing = [...this.#passing, { until, undo }];
  }

  async #killRound({ requests, fate }: Extract<Trouble, { kind: 'killRound' }>): Promise<void> {
    const name = `killed ${this.#rounds} ${this.orders.sandbox.clock.now()}`;
    this.#processes.start(name);
    for (let count = 0; count < requests; count += 1) await this.#processes.step(name);
    await this.#processes.step(name, fate);
  }

  async #beginSlowRound({ requests, pace }: Extract<Trouble, { kind: 'overlap' }>): Promise<void> {
    await this.#finishSlowRound();
    const since = this.orders.sandbox.clock.now();
    const name = `slow ${this.#rounds} ${since}`;
    this.#slow = { name, since, pace };
    this.#processes.start(name);
    for (let count = 0; count < requests; count += 1) await this.#processes.step(name);
  }

  async #finishSlowRound(): Promise<void> {
    const { name } = this.#slow ?? {};
    this.#slow = undefined;
    if (name === undefined) return;
    await this.#processes.finish(name);
    this.tell('the slow round is over');
    this.#look();
  }

  /** Nothing goes wrong any more: every image is a good one, and nobody forces or suspends anything. */
  async #heal(): Promise<void> {
    await this.#finishSlowRound();
    this.orders.sandbox.faults.clear();
    this.#passing = [];
    for (let number = 1; number <= this.#images; number += 1) this.#describe(`orders:${number}`, {});
    const { forceRollback, suspend } = this.orders.application().spec as unknown as ApplicationSpec;
    if (forceRollback || suspend) this.orders.edit((before) => ({ ...before, forceRollback: false, suspend: false }));
  }
}

/** There may be nothing of the kind. */
function attempt(act: () => void): void {
  try {
    act();
  } catch {
    // Then there is nothing to be done to it.
  }
}
