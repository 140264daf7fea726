// Deploys as tests disturb them: each brings an application to just before its first round, and says what must come of it.

import type { JarSettings } from '../../infra/sandbox/images.ts';
import {
  ADAPTIVE,
  anApplication,
  type Deployments,
  IMAGE,
  NAMESPACE,
  NEXT_IMAGE,
  noDeployments,
  type SpecOptions,
  STEP_SECONDS,
} from './deployments.ts';

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
}

/** Its jobs take their time to be saved and to end, so that rounds come in between. */
async function aRunningApplication(spec: SpecOptions = {}, job: JarSettings = {}): Promise<Deployments> {
  const deployments = await noDeployments();
  describeJobs(deployments, IMAGE, job);
  describeJobs(deployments, NEXT_IMAGE, {});
  deployments.add(spec);
  await deployments.roundsUntil('Running');
  return deployments;
}

function describeJobs({ sandbox }: Deployments, image: string, job: JarSettings): void {
  sandbox.flink.image(image, { jars: { 'orders.jar': { savepointSeconds: 3, cancelSeconds: 3, ...job } } });
}

export const firstDeploy: Scenario = {
  name: 'deploys an application first',
  prepare: () => anApplication(),
  isOver: isAtRest,
  outcome: { phase: 'Running', savepoints: 0, runs: ['orders:1 4 RUNNING from nothing'] },
};

export const newImage: Scenario = {
  name: 'deploys another image',
  prepare: async () => {
    const deployments = await aRunningApplication();
    deployments.edit((spec) => ({ ...spec, image: NEXT_IMAGE }));
    return deployments;
  },
  isOver: isAtRest,
  outcome: {
    phase: 'Running',
    savepoints: 1,
    runs: ['orders:1 4 CANCELED from nothing', 'orders:2 4 RUNNING from savepoint'],
  },
};

export const newSize: Scenario = {
  name: 'follows a size that was written through /scale',
  prepare: async () => {
    const deployments = await aRunningApplication();
    await deployments.scale(4);
    return deployments;
  },
  isOver: isAtRest,
  outcome: {
    phase: 'Running',
    savepoints: 1,
    runs: ['orders:1 4 CANCELED from nothing', 'orders:1 8 RUNNING from savepoint'],
  },
};

export const growthInPlace: Scenario = {
  name: 'enlarges a cluster in place, with the adaptive scheduler',
  prepare: async () => {
    const deployments = await aRunningApplication({ scaleMode: 'InPlace', flinkConfig: ADAPTIVE });
    // It goes on from a checkpoint of its own: there has to be one.
    await deployments.rounds(12);
    await deployments.scale(4);
    return deployments;
  },
  isOver: isAtRest,
  outcome: { phase: 'Running', savepoints: 0, runs: ['orders:1 8 RUNNING from nothing'] },
};

export const shrinkingInPlace: Scenario = {
  name: 'shrinks a cluster in place, with the adaptive scheduler',
  prepare: async () => {
    const deployments = await aRunningApplication({ parallelism: 8, scaleMode: 'InPlace', flinkConfig: ADAPTIVE });
    await deployments.rounds(12);
    await deployments.scale(2);
    return deployments;
  },
  isOver: isAtRest,
  outcome: { phase: 'Running', savepoints: 0, runs: ['orders:1 4 RUNNING from nothing'] },
};

export const growthWithSavepoint: Scenario = {
  name: 'enlarges a cluster in place, with a savepoint',
  prepare: async () => {
    const deployments = await aRunningApplication({ scaleMode: 'InPlace' });
    await deployments.scale(4);
    return deployments;
  },
  isOver: isAtRest,
  outcome: {
    phase: 'Running',
    savepoints: 1,
    runs: ['orders:1 4 CANCELED from nothing', 'orders:1 8 RUNNING from savepoint'],
  },
};

export const rollBack: Scenario = {
  name: 'brings the old job back when the new one fails at its start',
  prepare: async () => {
    const deployments = await aRunningApplication({ timeouts: { verticesSeconds: 6 } });
    describeJobs(deployments, NEXT_IMAGE, { failsAtStart: 'no such topic' });
    deployments.edit((spec) => ({ ...spec, image: NEXT_IMAGE }));
    return deployments;
  },
  isOver: hasRolledBack,
  outcome: {
    phase: 'DeployFailed',
    failure: 'JobMonitoringFailed',
    savepoints: 1,
    runs: [
      'orders:1 4 CANCELED from nothing',
      'orders:2 4 CANCELED from savepoint',
      'orders:1 4 RUNNING from savepoint',
    ],
  },
};

function hasRolledBack(deployments: Deployments): boolean {
  return deployments.status().phase === 'DeployFailed' && isTidy(deployments);
}

export const recovery: Scenario = {
  name: 'goes on from a checkpoint because no savepoint can be taken',
  prepare: async () => {
    const deployments = await aRunningApplication({}, { savepointFails: 'no space left' });
    await deployments.rounds(16);
    deployments.edit((spec) => ({ ...spec, image: NEXT_IMAGE }));
    return deployments;
  },
  isOver: isAtRest,
  outcome: {
    phase: 'Running',
    savepoints: 0,
    runs: ['orders:1 4 CANCELED from nothing', 'orders:2 4 RUNNING from chk'],
  },
};

export const restart: Scenario = {
  name: 'starts a lost job again from its latest checkpoint',
  prepare: async () => {
    const deployments = await aRunningApplication({ restartPolicy: 'FromLatestCheckpoint' });
    await deployments.roundsUntil(() => deployments.status().jobStatus?.lastCheckpoint !== undefined);
    deployments.killJobManager();
    deployments.sandbox.clock.advance(STEP_SECONDS);
    return deployments;
  },
  isOver: isAtRest,
  outcome: { phase: 'Running', savepoints: 0, runs: ['orders:1 4 LOST from nothing', 'orders:1 4 RUNNING from chk'] },
};

export const secondColour: Scenario = {
  name: 'deploys a second colour',
  prepare: aSecondColour,
  isOver: runsBoth,
  isBlueGreen: true,
  outcome: {
    phase: 'DualRunning',
    savepoints: 1,
    runs: ['orders:1 4 RUNNING from nothing', 'orders:2 4 RUNNING from savepoint'],
  },
};

export const oldColourTornDown: Scenario = {
  name: 'tears the old colour down',
  prepare: async () => {
    const deployments = await bothColours();
    const { deployHash } = deployments.status();
    deployments.edit((spec) => ({ ...spec, tearDownVersionHash: deployHash }));
    return deployments;
  },
  isOver: isAtRest,
  isBlueGreen: true,
  outcome: {
    phase: 'Running',
    savepoints: 1,
    runs: ['orders:1 4 CANCELED from nothing', 'orders:2 4 RUNNING from savepoint'],
  },
};

export const newColourTornDown: Scenario = {
  name: 'tears the new colour down',
  prepare: async () => {
    const deployments = await bothColours();
    const { updatingHash } = deployments.status();
    deployments.edit((spec) => ({ ...spec, tearDownVersionHash: updatingHash }));
    return deployments;
  },
  isOver: (deployments) => deployments.status().phase === 'DeployFailed' && deployments.pods().length === 3,
  isBlueGreen: true,
  outcome: {
    phase: 'DeployFailed',
    failure: 'TornDown',
    savepoints: 1,
    runs: ['orders:1 4 RUNNING from nothing', 'orders:2 4 CANCELED from savepoint'],
  },
};

async function aSecondColour(): Promise<Deployments> {
  const deployments = await aRunningApplication({ deploymentMode: 'BlueGreen' });
  deployments.edit((spec) => ({ ...spec, image: NEXT_IMAGE }));
  return deployments;
}

async function bothColours(): Promise<Deployments> {
  const deployments = await aSecondColour();
  await deployments.roundsUntil(runsBoth);
  return deployments;
}

function runsBoth(deployments: Deployments): boolean {
  return deployments.status().phase === 'DualRunning';
}

export const deletion: Scenario = {
  name: 'deletes an application and saves its job',
  prepare: async () => {
    const deployments = await aRunningApplication();
    await deployments.delete();
    return deployments;
  },
  isOver: (deployments) => deployments.find() === undefined && deployments.pods().length === 0,
  outcome: {
    phase: undefined,
    savepoints: 1,
    runs: ['orders:1 4 CANCELED from nothing'],
    deployments: [],
    services: [],
    revisions: [],
  },
};

export const takeOver: Scenario = {
  name: "takes a cluster over that Lyft's operator has left",
  prepare: asLyftLeftIt,
  isOver: (deployments) => deployments.status().currentRevision !== undefined && isAtRest(deployments),
  stepSeconds: 30,
  outcome: { phase: 'Running', savepoints: 0, runs: ['orders:1 4 RUNNING from nothing'] },
};

/** What Lyft's operator deploys is the same in names and hash, but it writes less into the status, and keeps no revision. */
async function asLyftLeftIt(): Promise<Deployments> {
  const deployments = await aRunningApplication();
  const { store } = deployments.sandbox;
  for (const { metadata } of store.list('ControllerRevision'))
    store.remove('ControllerRevision', NAMESPACE, metadata.name);
  const application = deployments.application();
  const { taskManagerConfig, ...spec } = application.spec as { taskManagerConfig: { replicas?: number } };
  const { replicas, ...own } = taskManagerConfig;
  const { phase, deployHash, deploymentMode, jobStatus, clusterStatus, lastUpdatedAt } = deployments.status();
  const time = new Date(deployments.sandbox.clock.now()).toISOString();
  const { apiVersion, metadata } = application;
  const writer = { manager: 'flinkoperator', operation: 'Update', apiVersion, time, fieldsType: 'FieldsV1' } as const;
  store.put({
    ...application,
    metadata: { ...metadata, managedFields: [{ ...writer, fieldsV1: { 'f:status': { 'f:phase': {} } } }] },
    spec: { ...spec, taskManagerConfig: own },
    status: { phase, deployHash, deploymentMode, jobStatus, clusterStatus, lastUpdatedAt },
  });
  return deployments;
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
