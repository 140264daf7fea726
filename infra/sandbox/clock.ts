// The sandbox's time. It stands still until somebody moves it, so that a test or a story of twenty minutes takes no time at all.

/** A clock that is set and advanced by hand, or follows the system's. Instants are epoch milliseconds. */
export class Clock {
  #standsAt: number | undefined;
  readonly #onMove: () => void;

  /** @param onMove is called before and after each move, so that the world can finish what belongs to the old time. */
  constructor(startTime: number, onMove: () => void) {
    this.#standsAt = startTime;
    this.#onMove = onMove;
  }

  now(): number {
    return this.#standsAt ?? Date.now();
  }

  /** Stops the clock at an instant. */
  set(time: number): void {
    this.#move(time);
  }

  /** Moves the clock and leaves it standing there. */
  advance(seconds: number): void {
    this.#move(this.now() + seconds * 1000);
  }

  /** From now on the clock follows the system's. */
  realTime(): void {
    this.#move(undefined);
  }

  #move(time: number | undefined): void {
    this.#onMove();
    this.#standsAt = time;
    this.#onMove();
  }
}

/** An instant as Kubernetes writes it: RFC 3339, whole seconds, UTC. */
export function timestamp(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}
