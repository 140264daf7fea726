// Suspend and resume: the job ends with a savepoint, its pods go, and what the spec says by then resumes from there.

import { afterEach, describe, expect, it } from 'vitest';
import { expectAloneAtAnyTime } from '../support/deploy-outcome.ts';
import {
  aDeployedApplication,
  anApplication,
  type Deployments,
  IMAGE,
  isGone,
  NEXT_IMAGE,
  type SpecOptions,
} from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

function suspend(isWanted = true): void {
  orders.edit((spec) => ({ ...spec, suspend: isWanted }));
}

/** An application that was suspended while it ran, without a pod left. */
async function aSuspendedApplication(spec: SpecOptions = {}): Promise<void> {
  orders = await aDeployedApplication(spec);
  await orders.rounds(30);
  suspend();
  await orders.roundsUntil(() => orders.status().phase === 'Suspended' && orders.pods().length === 0);
}

const messageOf = (type: string) => orders.status().conditions?.find((condition) => condition.type === type)?.message;

describe('suspending', () => {
  it('ends the job with a savepoint, deletes its cluster and keeps the object', async () => {
    await aSuspendedApplication();

    const [savepoint, ...others] = orders.savepoints();
    expect(others).toEqual([]);
    expect(orders.phases().slice(-2)).toEqual(['Savepointing', 'Suspended']);
    expect(orders.lastRun()).toMatchObject({ state: 'FINISHED' });
    expect(orders.deployments()).toEqual([]);
    expect(orders.services()).toEqual(['orders']);
    expect(orders.status()).toMatchObject({
      suspension: { savepointPath: savepoint?.path },
      clusterStatus: { numberOfTaskManagers: 0 },
    });
    expect(orders.conditions()).toEqual([
      'SpecValid True Valid',
      'Deployed False Suspended',
      'JobRunning False Suspended',
    ]);
    expect(messageOf('JobRunning')).toContain(savepoint?.path);
    expect(orders.events().slice(-5)).toEqual([
      'Normal Suspending',
      'Normal CancellingJob',
      'Normal CanceledJob',
      'Normal Suspended',
      'Normal ToreDownCluster',
    ]);
  });

  it('then writes and asks nothing more than one look a minute takes', async () => {
    await aSuspendedApplication();
    const before = orders.application().metadata.resourceVersion;
    const requests: string[] = [];
    orders.sandbox.hooks.before(({ method, path }) => void requests.push(`${method} ${path}`));

    await orders.round();
    orders.sandbox.clock.advance(3600);
    await orders.round();

    expect(orders.application().metadata.resourceVersion).toBe(before);
    expect(requests).toHaveLength(6);
    expect(requests.join()).not.toContain('controllerrevisions');
  });

  it('deploys nothing that changes meanwhile, and says what will resume', async () => {
    await aSuspendedApplication();

    orders.changeImage();
    await orders.scale(4);
    await orders.rounds(60);

    expect(orders.status()).toMatchObject({
      phase: 'Suspended',
      observedGeneration: orders.application().metadata.generation,
    });
    expect(orders.pods()).toEqual([]);
    expect(orders.runs()).toHaveLength(1);
  });

  it('leaves a job running whose savepoint fails, says why, and tries again', async () => {
    orders = await aDeployedApplication({}, { savepointFails: 1 });
    await orders.rounds(30);
    const [job] = orders.livingJobs();

    suspend();
    await orders.roundsUntil(() => orders.status().failedSuspension !== undefined);

    expect(orders.status()).toMatchObject({ phase: 'Running', failedSuspension: { attempts: 1 } });
    expect(orders.conditions()).toContain('Deployed False SuspendFailed');
    expect(orders.conditions()).toContain('JobRunning True JobRunning');
    expect(orders.livingJobs()).toMatchObject([{ id: job?.id }]);
    expect(orders.events()).toContain('Warning SuspendFailed');
    orders.sandbox.clock.advance(300);
    await orders.roundsUntil('Suspended');
    expect(orders.savepoints()).toHaveLength(1);
  });

  it('leaves a job running that has no directory for savepoints, until savepointDisabled gives its state up', async () => {
    orders = await aDeployedApplication({ flinkConfig: { 'state.savepoints.dir': undefined } });
    suspend();
    await orders.roundsUntil(() => orders.status().failedSuspension !== undefined);
    expect(orders.status().failedSuspension?.reason).toBe('SavepointRefused');

    orders.edit((spec) => ({ ...spec, savepointDisabled: true }));
    await orders.roundsUntil('Suspended');
    orders.edit((spec) => ({ ...spec, suspend: false }));
    await orders.roundsUntil('Running');

    expect(orders.status()).not.toHaveProperty('failedSuspension');
    expect(orders.runs()).toMatchObject([{ state: 'CANCELED' }, { state: 'RUNNING', startCount: 0 }]);
  });

  it('withdraws a deploy that has not touched the job yet', async () => {
    orders = await aDeployedApplication();
    orders.changeImage();
    await orders.roundsUntil('ClusterStarting');

    suspend();
    await orders.roundsUntil(() => orders.status().phase === 'Suspended' && orders.pods().length === 0);

    expect(orders.runs()).toMatchObject([{ image: IMAGE, state: 'FINISHED' }]);
  });

  it('waits for a deploy that has stopped the job', async () => {
    orders = await aDeployedApplication({}, { savepointSeconds: 10 });
    orders.changeImage();
    await orders.roundsUntil('Savepointing');

    suspend();
    await orders.roundsUntil(() => orders.status().phase === 'Suspended' && orders.pods().length === 0);

    expect(orders.runs()).toMatchObject([{ image: IMAGE }, { image: NEXT_IMAGE, state: 'FINISHED' }]);
    expect(orders.status().suspension?.savepointPath).toBe(orders.savepoints().at(-1)?.path);
  });

  it.each`
    what                                          | jar                                    | spec                                                    | from
    ${'a job that has failed'}                    | ${{}}                                  | ${{ flinkConfig: { 'restart-strategy.type': 'none' } }} | ${/chk-/}
    ${'a job that has finished: it begins again'} | ${{ isBounded: true, runSeconds: 20 }} | ${{}}                                                   | ${undefined}
  `('takes $what', async ({ jar, spec, from }) => {
    orders = await aDeployedApplication(spec, jar);
    await orders.rounds(30);
    if (from) orders.failJob({ isFatal: true });
    await orders.rounds(10);

    suspend();
    await orders.roundsUntil(() => orders.status().phase === 'Suspended' && orders.pods().length === 0);
    suspend(false);
    await orders.roundsUntil('Running');

    const { restoredFrom } = orders.lastRun() ?? {};
    if (from) expect(restoredFrom).toMatch(from);
    else expect(restoredFrom).toBeUndefined();
  });

  it('takes a job that was lost, from the checkpoint on record', async () => {
    orders = await aDeployedApplication({ restartPolicy: 'FromLatestCheckpoint' });
    await orders.roundsUntil(() => orders.status().jobStatus?.lastCheckpoint !== undefined);
    const { lastCheckpoint } = orders.status().jobStatus ?? {};
    orders.killJobManager();

    suspend();
    await orders.roundsUntil('Suspended');

    expect(orders.status().suspension).toMatchObject({ savepointPath: lastCheckpoint });
    expect(orders.runs()).toHaveLength(1);
  });
});

describe('resuming', () => {
  it('deploys what the spec says by then, once, from the savepoint, however old it is', async () => {
    await aSuspendedApplication({ maxCheckpointRestoreAgeSeconds: 60 });
    const [savepoint] = orders.savepoints();
    orders.changeImage();
    await orders.scale(4);
    orders.sandbox.clock.advance(7 * 24 * 3600);

    suspend(false);
    await orders.roundsUntil('Running');
    await orders.rounds(30);

    expect(orders.runs()).toMatchObject([
      { image: IMAGE, state: 'FINISHED' },
      {
        image: NEXT_IMAGE,
        parallelism: 8,
        state: 'RUNNING',
        restoredFrom: savepoint?.path,
        startCount: savepoint?.count,
      },
    ]);
    expect(orders.status()).not.toHaveProperty('suspension');
    expect(orders.phases().filter((phase) => phase === 'Updating')).toHaveLength(2);
    expect(orders.conditions()).toEqual([
      'SpecValid True Valid',
      'Deployed True Deployed',
      'JobRunning True JobRunning',
    ]);
    expect(orders.taskManagers()).toHaveLength(4);
    expect(orders.select(orders.status().selector ?? '')).toEqual(orders.taskManagers());
    expectAloneAtAnyTime(orders);
  });

  it('resumes the same content, under whatever hash, from the savepoint', async () => {
    await aSuspendedApplication();

    suspend(false);
    await orders.roundsUntil('Running');

    expect(orders.lastRun()).toMatchObject({ state: 'RUNNING', startCount: orders.savepoints()[0]?.count });
  });

  it('keeps the savepoint when the job does not come up, and begins from it again after the back-off', async () => {
    await aSuspendedApplication({ timeouts: { verticesSeconds: 10 } });
    const [savepoint] = orders.savepoints();
    orders.describeJar(IMAGE, { failsAtStart: 'no such topic' });

    suspend(false);
    await orders.roundsUntil('DeployFailed');
    expect(orders.status().suspension).toMatchObject({ savepointPath: savepoint?.path });
    orders.describeJar(IMAGE, {});
    orders.sandbox.clock.advance(300);
    await orders.roundsUntil('Running');

    expect(orders.lastRun()).toMatchObject({ state: 'RUNNING', restoredFrom: savepoint?.path });
    expectAloneAtAnyTime(orders);
  });

  it('is given up when it is suspended again meanwhile', async () => {
    await aSuspendedApplication();
    suspend(false);
    await orders.roundsUntil('ClusterStarting');

    suspend();
    await orders.roundsUntil(() => orders.status().phase === 'Suspended' && orders.pods().length === 0);

    expect(orders.runs()).toHaveLength(1);
    expect(orders.status().suspension?.savepointPath).toBe(orders.savepoints()[0]?.path);
  });
});

describe('an application that is made with suspend: true', () => {
  it('deploys nothing until it is false', async () => {
    orders = await anApplication({ suspend: true });
    await orders.rounds(20);

    expect(orders.status().phase).toBe('Suspended');
    expect(orders.pods()).toEqual([]);
    expect(messageOf('Deployed')).toContain('is deployed without state when spec.suspend is false');
    suspend(false);
    await orders.roundsUntil('Running');
    expect(orders.lastRun()).toMatchObject({ state: 'RUNNING', startCount: 0 });
  });
});

describe('a suspended application that is deleted', () => {
  it('goes at once, and an Event names its savepoint', async () => {
    await aSuspendedApplication();

    await orders.delete();
    await orders.round();

    expect(isGone(orders)).toBe(true);
    const [event] = orders.eventObjects().filter(({ reason }) => reason === 'SavepointKept');
    expect(event?.message).toContain(orders.savepoints()[0]?.path);
  });
});
