// Deploys as tests disturb them: each brings an application to just before its first round, and says what must come of it.

import type { JarSettings } from '../../infra/sandbox/images.ts';
import {
  ADAPTIVE,
  aDeployedApplication,
  anApplication,
  type Deployments,
  HIGHLY_AVAILABLE,
  IMAGE,
  isGone,
  NEXT_IMAGE,
  type SpecOptions,
  STEP_SECONDS,
} from './deployments.ts';
import { leaveAsLyftDoes } from './other-operator.ts';

export interface Scenario {
  readonly name: string;
  readonly prepare: () => Promise<Deployments>;
  /** Whether all of it is done, tidying up included. */
  readonly isOver: (deployments: Deployments) => boolean;
  /** What the deploy must come to. */
  readonly outcome: object;
  /** From one round to the next; default 2. */
  readonly stepSeconds?: number;
  /** Two jobs at once, one of each colour, are what the user wants. */
  readonly isBlueGreen?: boolean;
  /** A job begins again from the last savepoint, though one after it has got further. */
  readonly goesBack?: boolean;
}

/** Something comes to an application that runs. It is over when the application is at rest again, unless it says otherwise. */
interface RunningScenario extends Omit<Scenario, 'prepare' | 'isOver'> {
  readonly isOver?: Scenario['isOver'];
  /** Of the application. */
  readonly spec?: SpecOptions;
  /** How the job that runs at first behaves. */
  readonly job?: JarSettings;
  /** What comes to it. */
  readonly when: (deployments: Deployments) => void | Promise<void>;
}

/** Jobs take their time to be saved and to end, so that rounds come in between. */
const SLOW: JarSettings = { savepointSeconds: 3, cancelSeconds: 3 };

function onceRunning({ spec, job, when, ...scenario }: RunningScenario): Scenario {
  const prepare = async () => {
    const deployments = await aDeployedApplication(spec, { ...SLOW, ...job });
    deployments.describeJar(NEXT_IMAGE, SLOW);
    await when(deployments);
    return deployments;
  };
  return { isOver: isAtRest, ...scenario, prepare };
}

/** The same with JobManagers that keep their jobs in ConfigMaps. */
function withHighAvailability({ spec, name, ...scenario }: RunningScenario): Scenario {
  const flinkConfig = { ...spec?.flinkConfig, ...HIGHLY_AVAILABLE };
  return onceRunning({ ...scenario, name: `${name}, with high availability`, spec: { ...spec, flinkConfig } });
}

/** The first job was stopped with a savepoint, or has another end, and from the savepoint this one began: "orders:2 4". */
function goneOnAs(job: string, end = 'FINISHED'): object {
  const runs = [`orders:1 4 ${end} from nothing`, `${job} RUNNING from savepoint`];
  return { phase: 'Running', savepoints: 1, runs };
}

/** The first job was never ended, and is now this: "orders:1 4". */
function stillTheFirst(job: string): object {
  return { phase: 'Running', savepoints: 0, runs: [`${job} RUNNING from nothing`] };
}

export const firstDeploy: Scenario = {
  name: 'deploys an application first',
  prepare: () => anApplication(),
  isOver: isAtRest,
  outcome: stillTheFirst('orders:1 4'),
};

export const firstDeployHighlyAvailable: Scenario = {
  ...firstDeploy,
  name: 'deploys an application first, with high availability',
  prepare: () => anApplication({ flinkConfig: HIGHLY_AVAILABLE }),
};

const newImageParts: RunningScenario = {
  name: 'deploys another image',
  when: (deployments) => deployments.changeImage(),
  outcome: goneOnAs('orders:2 4'),
};

export const newImage = onceRunning(newImageParts);
export const newImageHighlyAvailable = withHighAvailability(newImageParts);

export const newSize = onceRunning({
  name: 'follows a size that was written through /scale',
  when: (deployments) => deployments.scale(4),
  outcome: goneOnAs('orders:1 8'),
});

export const growthInPlace = onceRunning({
  name: 'enlarges a cluster in place, with the adaptive scheduler',
  spec: { scaleMode: 'InPlace', flinkConfig: ADAPTIVE },
  when: (deployments) => scaleWithCheckpoint(deployments, 4),
  outcome: stillTheFirst('orders:1 8'),
});

export const shrinkingInPlace = onceRunning({
  name: 'shrinks a cluster in place, with the adaptive scheduler',
  spec: { parallelism: 8, scaleMode: 'InPlace', flinkConfig: ADAPTIVE },
  when: (deployments) => scaleWithCheckpoint(deployments, 2),
  outcome: stillTheFirst('orders:1 4'),
});

/** The job is to go on from a checkpoint of its own: there has to be one. */
async function scaleWithCheckpoint(deployments: Deployments, taskManagers: number): Promise<void> {
  await deployments.rounds(12);
  await deployments.scale(taskManagers);
}

export const growthWithSavepoint = onceRunning({
  name: 'enlarges a cluster in place, with a savepoint',
  spec: { scaleMode: 'InPlace' },
  when: (deployments) => deployments.scale(4),
  outcome: goneOnAs('orders:1 8'),
});

const rollBackParts: RunningScenario = {
  name: 'brings the old job back when the new one fails at its start',
  spec: { timeouts: { verticesSeconds: 6 } },
  when: (deployments) => {
    deployments.describeJar(NEXT_IMAGE, { ...SLOW, failsAtStart: 'no such topic' });
    deployments.changeImage();
  },
  isOver: hasRolledBack,
  outcome: {
    phase: 'DeployFailed',
    failure: 'JobMonitoringFailed',
    savepoints: 1,
    runs: [
      'orders:1 4 FINISHED from nothing',
      'orders:2 4 CANCELED from savepoint',
      'orders:1 4 RUNNING from savepoint',
    ],
  },
};

export const rollBack = onceRunning(rollBackParts);
export const rollBackHighlyAvailable = withHighAvailability(rollBackParts);

function hasRolledBack(deployments: Deployments): boolean {
  return deployments.status().phase === 'DeployFailed' && isTidy(deployments);
}

export const loopRolledBack = onceRunning({
  name: 'rolls a version back that loops',
  spec: { rollbackWindowSeconds: 3600 },
  when: async (deployments) => {
    deployments.describeJar(NEXT_IMAGE, { ...SLOW, failsAfterSeconds: 5 });
    deployments.changeImage();
    await deployments.roundsUntil(() => deployments.status().jobStatus?.restartLoopTime !== undefined);
  },
  isOver: hasRolledBack,
  goesBack: true,
  outcome: {
    phase: 'DeployFailed',
    failure: 'JobRestartLoop',
    savepoints: 1,
    runs: [
      'orders:1 4 FINISHED from nothing',
      'orders:2 4 CANCELED from savepoint',
      'orders:1 4 RUNNING from savepoint',
    ],
  },
});

export const recovery = onceRunning({
  name: 'goes on from a checkpoint because no savepoint can be taken',
  job: { savepointFails: 'no space left' },
  when: async (deployments) => {
    await deployments.rounds(16);
    deployments.changeImage();
  },
  outcome: {
    phase: 'Running',
    savepoints: 0,
    runs: ['orders:1 4 CANCELED from nothing', 'orders:2 4 RUNNING from chk'],
  },
});

export const restart = onceRunning({
  name: 'starts a lost job again from its latest checkpoint',
  spec: { restartPolicy: 'FromLatestCheckpoint' },
  when: async (deployments) => {
    await deployments.roundsUntil(() => deployments.status().jobStatus?.lastCheckpoint !== undefined);
    deployments.killJobManager();
    deployments.sandbox.clock.advance(STEP_SECONDS);
  },
  outcome: { phase: 'Running', savepoints: 0, runs: ['orders:1 4 LOST from nothing', 'orders:1 4 RUNNING from chk'] },
});

export const lostSubmission = onceRunning({
  name: 'deploys another image though the new JobManager dies right after it was given the job',
  when: async (deployments) => {
    deployments.changeImage();
    await deployments.roundsUntil(() => deployments.status().rollout?.isSubmitted === true);
    // Until its tasks have come to the TaskManagers, which then refuse the same id of another JobManager.
    deployments.sandbox.clock.advance(3);
    deployments.killJobManager(deployments.status().rollout?.hash);
    deployments.sandbox.clock.advance(STEP_SECONDS);
  },
  outcome: {
    phase: 'Running',
    savepoints: 1,
    runs: ['orders:1 4 FINISHED from nothing', 'orders:2 4 LOST from savepoint', 'orders:2 4 RUNNING from savepoint'],
  },
});

export const secondColour = onceRunning({
  name: 'deploys a second colour',
  spec: { deploymentMode: 'BlueGreen' },
  when: (deployments) => deployments.changeImage(),
  isOver: runsBoth,
  isBlueGreen: true,
  outcome: {
    phase: 'DualRunning',
    savepoints: 1,
    runs: ['orders:1 4 RUNNING from nothing', 'orders:2 4 RUNNING from savepoint'],
  },
});

export const oldColourTornDown = onceRunning({
  name: 'tears the old colour down',
  spec: { deploymentMode: 'BlueGreen' },
  when: (deployments) => tearDown(deployments, 'deployHash'),
  isBlueGreen: true,
  outcome: goneOnAs('orders:2 4', 'CANCELED'),
});

export const newColourTornDown = onceRunning({
  name: 'tears the new colour down',
  spec: { deploymentMode: 'BlueGreen' },
  when: (deployments) => tearDown(deployments, 'updatingHash'),
  isOver: (deployments) => deployments.status().phase === 'DeployFailed' && deployments.pods().length === 3,
  isBlueGreen: true,
  outcome: {
    phase: 'DeployFailed',
    failure: 'TornDown',
    savepoints: 1,
    runs: ['orders:1 4 RUNNING from nothing', 'orders:2 4 CANCELED from savepoint'],
  },
});

/** Of two colours that run, the one whose hash stands there in the status. */
async function tearDown(deployments: Deployments, colour: 'deployHash' | 'updatingHash'): Promise<void> {
  deployments.changeImage();
  await deployments.roundsUntil(runsBoth);
  const tearDownVersionHash = deployments.status()[colour];
  deployments.edit((spec) => ({ ...spec, tearDownVersionHash }));
}

function runsBoth(deployments: Deployments): boolean {
  return deployments.status().phase === 'DualRunning';
}

const deletionParts: RunningScenario = {
  name: 'deletes an application and saves its job',
  when: (deployments) => deployments.delete(),
  isOver: (deployments) => isGone(deployments) && deployments.revisions().length === 0,
  outcome: {
    phase: undefined,
    savepoints: 1,
    runs: ['orders:1 4 FINISHED from nothing'],
    deployments: [],
    services: [],
    revisions: [],
  },
};

export const deletion = onceRunning(deletionParts);
export const deletionHighlyAvailable = withHighAvailability(deletionParts);

export const suspension = onceRunning({
  name: 'suspends an application',
  when: (deployments) => suspend(deployments, true),
  isOver: isSuspended,
  outcome: {
    phase: 'Suspended',
    savepoints: 1,
    runs: ['orders:1 4 FINISHED from nothing'],
    deployments: [],
    pods: [],
  },
});

export const resumption = onceRunning({
  name: 'resumes a suspended application, with another image and size',
  when: async (deployments) => {
    suspend(deployments, true);
    await deployments.roundsUntil(isSuspended);
    await deployments.scale(4);
    deployments.changeImage();
    suspend(deployments, false);
  },
  outcome: goneOnAs('orders:2 8'),
});

export const suspensionWithdrawn = onceRunning({
  name: 'is told to suspend an application, and then not to, while its savepoint is taken',
  when: async (deployments) => {
    suspend(deployments, true);
    await deployments.roundsUntil(() => deployments.sandbox.requests.some(isSavepoint));
    suspend(deployments, false);
  },
  outcome: goneOnAs('orders:1 4'),
});

export const savepointsTended = onceRunning({
  name: 'takes a periodic savepoint, and disposes of the oldest',
  when: async (deployments) => {
    deployments.changeImage();
    await deployments.roundsUntil(isAtRest);
    deployments.changeImage(IMAGE);
    await deployments.roundsUntil(isAtRest);
    deployments.sandbox.clock.advance(60);
    const wanted = { savepointHistory: { maxCount: 1 }, periodicSavepoints: { intervalSeconds: 60 } };
    deployments.edit((spec) => ({ ...spec, ...wanted }));
  },
  isOver: (deployments) => {
    const { savepoints = [], periodicSavepoint, savepointDisposal } = deployments.status();
    const isTended = savepoints.length === 2 && savepoints[1]?.reason === 'Periodic';
    return isAtRest(deployments) && isTended && periodicSavepoint === undefined && savepointDisposal === undefined;
  },
  outcome: {
    phase: 'Running',
    savepoints: 2,
    runs: [
      'orders:1 4 FINISHED from nothing',
      'orders:2 4 FINISHED from savepoint',
      'orders:1 4 RUNNING from savepoint',
    ],
  },
});

function isSavepoint({ method, path }: { readonly method: string; readonly path: string }): boolean {
  return method === 'POST' && /\/(savepoints|stop)$/.test(path);
}

function suspend(deployments: Deployments, isWanted: boolean): void {
  deployments.edit((spec) => ({ ...spec, suspend: isWanted }));
}

/** No pod is left, not even one that is about to go. */
function isSuspended(deployments: Deployments): boolean {
  const { phase } = deployments.status();
  return phase === 'Suspended' && deployments.deployments().length + deployments.pods().length === 0;
}

export const takeOver = onceRunning({
  name: "takes a cluster over that Lyft's operator has left",
  when: leaveAsLyftDoes,
  isOver: (deployments) =>
    deployments.status().currentRevision !== undefined && hasReplicas(deployments) && isAtRest(deployments),
  stepSeconds: 30,
  outcome: stillTheFirst('orders:1 4'),
});

/** It is given its replicas when it was adopted, and not before. */
function hasReplicas(deployments: Deployments): boolean {
  const { taskManagerConfig } = deployments.application().spec as { taskManagerConfig: { replicas?: number } };
  return taskManagerConfig.replicas !== undefined;
}

/** The newest spec is what runs, on one cluster, and nothing is left of any other. */
function isAtRest(deployments: Deployments): boolean {
  const { metadata } = deployments.application();
  const { phase, observedGeneration, rollout } = deployments.status();
  const hasSettled = observedGeneration === metadata.generation && rollout === undefined;
  return phase === 'Running' && hasSettled && isTidy(deployments);
}

/** One cluster: two Deployments, the service for users and the one for its pods; and its job runs. */
function isTidy(deployments: Deployments): boolean {
  const { deployHash = '' } = deployments.status();
  const [job, ...others] = deployments.livingJobs();
  return (
    deployments.deployments().length === 2 &&
    deployments.services().length === 2 &&
    deployments.pods().every((pod) => pod.includes(deployHash)) &&
    deployments.pods().length === deployments.wantedPods() &&
    job?.state === 'RUNNING' &&
    others.length === 0
  );
}
