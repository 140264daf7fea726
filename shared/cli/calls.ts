import { setTimeout as wait } from 'node:timers/promises';

/** Applications (namespace/name) that somebody wants looked at; whoever looks after them sleeps until there is one. */
export class Calls {
  readonly #applications = new Set<string>();
  #wake = () => {};

  /** Wakes the sleeper, if there is anything to do. */
  add(applications: readonly string[]): void {
    for (const application of applications) this.#applications.add(application);
    if (this.#applications.size > 0) this.#wake();
  }

  /** What has been called for; from now on it counts as done. */
  take(): readonly string[] {
    const taken = [...this.#applications];
    this.#applications.clear();
    return taken;
  }

  /** Sleeps until a time (epoch milliseconds), a call or an interruption, whichever is first. */
  async waitUntil(time: number, interrupted: AbortSignal): Promise<void> {
    if (this.#applications.size > 0) return;
    const called = new AbortController();
    this.#wake = () => called.abort();
    const signal = AbortSignal.any([interrupted, called.signal]);
    await wait(Math.max(0, time - Date.now()), undefined, { signal }).catch(() => {});
  }
}
