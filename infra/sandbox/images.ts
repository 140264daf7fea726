// What is in a container image, as far as the world can tell: how long it takes to start, which Flink it carries, and how the jobs
// in its jars behave. Tests say it; an image that nobody described has every jar but those named "missing…", and they just run.

export interface ImageSettings {
  /** False: pods stay Pending with ImagePullBackOff until it is described anew. Default true. */
  readonly pullable?: boolean;
  /** Its process ends at once with this message, again and again. */
  readonly crashes?: string;
  /** From creation of a pod to Ready; default that of the sandbox. */
  readonly startSeconds?: number;
  /** Default: the pod's environment variable FLINK_VERSION, or else 1.20.3. */
  readonly flinkVersion?: string;
  /** By file name. Others are not in the image, once there is one. */
  readonly jars?: Readonly<Record<string, JarSettings>>;
}

/** How the job of a jar behaves. */
export interface JarSettings {
  /** Default: a source and a stateful worker with its sink. */
  readonly vertices?: readonly (string | VertexSettings)[];
  /** Of every vertex that says none; default what Flink derives from the parallelism, at least 128. */
  readonly maxParallelism?: number;
  /** While every task runs; default 100. */
  readonly recordsPerSecond?: number;
  /** From one checkpoint to the next, over what the configuration says. */
  readonly checkpointSeconds?: number;
  /** No checkpoint ever completes. */
  readonly checkpointFails?: boolean;
  /** The only class with a main method; default whatever is asked for. */
  readonly entryClass?: string;
  /** Its main method throws an exception of this message. */
  readonly mainThrows?: string;
  /** Its main method ends the process that calls it, which is the JobManager. */
  readonly mainExits?: boolean;
  /** Tasks fail with this cause when they are initialised. */
  readonly failsAtStart?: string;
  /** Tasks fail so long after they began to run, in each attempt. */
  readonly failsAfterSeconds?: number;
  /** The job ends by itself after `runSeconds`. */
  readonly isBounded?: boolean;
  /** It is bounded and runs in BATCH mode: each vertex is a stage of `runSeconds`, which begins when the one before it has ended. */
  readonly isBatch?: boolean;
  /** Default 60. */
  readonly runSeconds?: number;
  /** Default 1. */
  readonly savepointSeconds?: number;
  /** A cause with which each savepoint fails, or how many fail at first. */
  readonly savepointFails?: string | number;
  /** Its tasks fail with this cause while they stop, after the savepoint: the job is FAILED for good. */
  readonly stopFails?: string;
  /** A stop never comes to its savepoint, since a source does not end when it is told to; nor does one that comes after it. */
  readonly stopHangs?: boolean;
  /** How long tasks stay INITIALIZING when they restore state; default 1. */
  readonly restoreSeconds?: number;
  /** Default 1. */
  readonly cancelSeconds?: number;
  /** It takes its slots from all TaskManagers alike; default from as few as will do. */
  readonly spreadsSlots?: boolean;
}

export interface VertexSettings {
  readonly name: string;
  /** 32 hex digits; default from the name. */
  readonly id?: string;
  /** Fixed in the code, whatever the job's parallelism. */
  readonly parallelism?: number;
  readonly maxParallelism?: number;
}

export class Images {
  readonly #settings = new Map<string, ImageSettings>();
  readonly #listeners: (() => void)[] = [];

  /** Describes an image; pods that wait for it look again. */
  set(image: string, settings: ImageSettings): void {
    this.#settings.set(image, { ...this.#settings.get(image), ...settings });
    for (const listener of this.#listeners) listener();
  }

  get(image: string): ImageSettings {
    return this.#settings.get(image) ?? {};
  }

  /** A jar in an image, or undefined when it is not there. */
  jar(image: string, name: string): JarSettings | undefined {
    const { jars } = this.get(image);
    if (jars) return jars[name];
    return name.startsWith('missing') || !name.endsWith('.jar') ? undefined : {};
  }

  subscribe(listener: () => void): void {
    this.#listeners.push(listener);
  }
}
