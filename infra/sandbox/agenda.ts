// What the world does by itself, in the order of time: a controller's next look at an object, a pod's start, a job's end. However
// far the clock is moved at once, everything happens at its own instant, so one long step comes to the same as many short ones.

interface Appointment {
  readonly time: number;
  /** Of two of one time, the one made first comes first. */
  readonly order: number;
  readonly key: string;
  readonly act: () => void;
}

/** Instants are epoch milliseconds. */
export class Agenda {
  readonly #clock: () => number;
  readonly #byKey = new Map<string, Appointment>();
  /** The next one last; some have been moved or called off since. */
  readonly #queue: Appointment[] = [];
  #order = 0;
  #time: number | undefined;

  /** @param clock the sandbox's time */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The instant that is being lived through; behind the clock while the world catches up with it. */
  now(): number {
    return this.#time ?? this.#clock();
  }

  /** Makes an appointment, at the earliest now; of two with one key the earlier stands. An infinite time makes none. */
  at(time: number, key: string, act: () => void): void {
    const standing = this.#byKey.get(key);
    if (time === Number.POSITIVE_INFINITY || (standing && standing.time <= time)) return;
    this.#order += 1;
    const appointment = { time: Math.max(time, this.now()), order: this.#order, key, act };
    this.#byKey.set(key, appointment);
    this.#queue.splice(this.#placeOf(appointment), 0, appointment);
  }

  /** Keeps every appointment up to the clock's time, those too that are made on the way. */
  catchUp(): void {
    if (this.#time !== undefined) return;
    const present = this.#clock();
    for (let next = this.#queue.at(-1); next && next.time <= present; next = this.#queue.at(-1)) {
      this.#queue.pop();
      if (this.#byKey.get(next.key) !== next) continue;
      this.#byKey.delete(next.key);
      this.#time = next.time;
      next.act();
    }
    this.#time = undefined;
  }

  #placeOf({ time, order }: Appointment): number {
    let [low, high] = [0, this.#queue.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle] as Appointment;
      if (other.time > time || (other.time === time && other.order > order)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
