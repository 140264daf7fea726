// Ticks or rounds that overlap, one request at a time: each request waits until the test lets it through, so that the order is the
// test's. A round is called a tick here.

import type { SandboxRequest } from '../../infra/sandbox/exchange.ts';
import type { Sandbox } from '../../infra/sandbox/server.ts';
import type { TickReport } from '../../shared/controllers/scale.ts';

export type Fate = 'answered' | 'killed before' | 'killed after';

/** What became of a tick: its report, or the error of one that came to nothing. */
export type End<Report = TickReport> = Report | Error;

/** Where ticks happen. Each sends its id with every request, as the header x-tick. */
export interface World<Report> {
  readonly sandbox: Sandbox;
  tick(options: { readonly id: string }): Promise<Report>;
}

interface Waiting {
  readonly name: string;
  readonly release: (fate: Fate) => void;
  /** Settles when the request has taken effect, or never will. */
  readonly done: Promise<void>;
}

/** Starts ticks in a world and moves each of them on by single requests. */
export class Interleaving<Report = TickReport> {
  readonly #world: World<Report>;
  readonly #waiting = new Map<string, Waiting[]>();
  readonly #ends = new Map<string, Promise<End<Report>>>();
  readonly #finished = new Set<string>();
  readonly #dead = new Set<string>();
  #somethingHappened = Promise.withResolvers<void>();

  constructor(world: World<Report>) {
    this.#world = world;
    const fates = new WeakMap<SandboxRequest, { fate: Fate; settle: () => void }>();
    world.sandbox.hooks.before(async (request) => {
      const tick = request.headers['x-tick'];
      if (typeof tick !== 'string' || !this.#ends.has(tick)) return;
      this.#refuseOfTheDead(tick);
      const { promise: released, resolve: release } = Promise.withResolvers<Fate>();
      const { promise: done, resolve: settle } = Promise.withResolvers<void>();
      const name = `${request.method} ${request.path}`;
      this.#waiting.set(tick, [...(this.#waiting.get(tick) ?? []), { name, release, done }]);
      this.#tell();
      const fate = await released;
      fates.set(request, { fate, settle });
      if (fate === 'killed before') this.#dead.add(tick);
      if (this.#dead.has(tick)) settle();
      this.#refuseOfTheDead(tick);
    });
    world.sandbox.hooks.after((request) => {
      const tick = request.headers['x-tick'];
      const given = fates.get(request);
      if (typeof tick !== 'string' || given === undefined) return;
      if (given.fate === 'killed after') this.#kill(tick);
      given.settle();
      this.#refuseOfTheDead(tick);
    });
  }

  /** Starts a tick; its first requests wait. */
  start(tick: string): void {
    const end = Promise.withResolvers<End<Report>>();
    this.#ends.set(tick, end.promise);
    const finish = (value: End<Report>) => {
      this.#finished.add(tick);
      end.resolve(value);
      this.#tell();
    };
    this.#world.tick({ id: tick }).then(finish, finish);
  }

  isFinished(tick: string): boolean {
    return this.#finished.has(tick);
  }

  /**
   * Lets one request of a tick through, the first by name of those that wait, or one whose name contains `wanted`.
   *
   * @returns its name, or undefined when the tick has ended
   */
  async step(tick: string, fate: Fate = 'answered', wanted = ''): Promise<string | undefined> {
    for (;;) {
      const waiting = (this.#waiting.get(tick) ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      const next = waiting.find(({ name }) => name.includes(wanted));
      if (next !== undefined) {
        this.#waiting.set(
          tick,
          waiting.filter((other) => other !== next),
        );
        next.release(fate);
        await next.done;
        if (this.#dead.has(tick)) this.#kill(tick);
        return next.name;
      }
      if (this.#finished.has(tick)) return undefined;
      await this.#somethingHappened.promise;
    }
  }

  /**
   * Lets requests of a tick through until one waits that is wanted, and leaves that one waiting.
   *
   * @returns whether there was one before the tick ended
   */
  async stepUntil(tick: string, isWanted: (name: string) => boolean): Promise<boolean> {
    for (;;) {
      while (!this.#waiting.get(tick)?.length && !this.isFinished(tick)) await this.#somethingHappened.promise;
      if (this.#waiting.get(tick)?.some(({ name }) => isWanted(name))) return true;
      if ((await this.step(tick)) === undefined) return false;
    }
  }

  /** Lets everything of a tick through, to its end. */
  async finish(tick: string): Promise<End<Report>> {
    while ((await this.step(tick)) !== undefined);
    return this.endOf(tick);
  }

  endOf(tick: string): Promise<End<Report>> {
    const end = this.#ends.get(tick);
    if (end === undefined) throw new Error(`tick ${tick} was never started`);
    return end;
  }

  /** A dead process sends nothing any more, and hears nothing. */
  #kill(tick: string): void {
    this.#dead.add(tick);
    for (const { release } of this.#waiting.get(tick) ?? []) release('killed before');
    this.#waiting.set(tick, []);
  }

  #refuseOfTheDead(tick: string): void {
    if (this.#dead.has(tick)) throw new Error(`tick ${tick} is dead`);
  }

  #tell(): void {
    this.#somethingHappened.resolve();
    this.#somethingHappened = Promise.withResolvers<void>();
  }
}
