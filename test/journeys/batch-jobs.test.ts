// Bounded jobs in BATCH mode, whose stages run one after the other, for longer than a job may take to come up.

import { afterEach, describe, expect, it } from 'vitest';
import {
  aDeployedApplication,
  anApplication,
  type Deployments,
  IMAGE,
  isGone,
  NEXT_IMAGE,
} from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** Two stages of ten minutes each, while vertices have three minutes to run. */
const LONG_STAGES = { isBatch: true, runSeconds: 600 };

describe.each(['1.20.3', '2.3.0'])('a batch job of Flink %s whose first stage takes ten minutes', (flinkVersion) => {
  it('runs, healthy, through both stages, and ends as FINISHED', async () => {
    orders = await anApplication();
    orders.sandbox.flink.image(IMAGE, { flinkVersion });
    orders.describeJar(IMAGE, LONG_STAGES);
    await orders.roundsUntil('Running', { seconds: 60 });
    const seen: unknown[] = [];

    for (let minutes = 0; minutes < 21; minutes += 5) {
      await orders.rounds(10);
      const { jobStatus, failedDeploy } = orders.status();
      seen.push([jobStatus?.state, jobStatus?.health, failedDeploy]);
      orders.sandbox.clock.advance(300);
    }

    const runs = ['RUNNING', 'Green', undefined];
    expect(seen).toEqual([runs, runs, runs, runs, ['FINISHED', 'Green', undefined]]);
    expect(orders.runs()).toHaveLength(1);
    expect(orders.conditions()).toContain('Deployed True Deployed');
  });

  it('is up all the same when it is first looked at long after its time was over', async () => {
    orders = await anApplication();
    orders.sandbox.flink.image(IMAGE, { flinkVersion });
    orders.describeJar(IMAGE, LONG_STAGES);
    await orders.roundsUntil(() => orders.runs().length === 1);

    orders.sandbox.clock.advance(300);
    await orders.roundsUntil('Running', { seconds: 4 });

    expect(orders.runs()).toMatchObject([{ state: 'RUNNING' }]);
  });

  it('is begun again by a rollback, and is back as soon as its first stage runs', async () => {
    orders = await anApplication({ savepointDisabled: true });
    orders.sandbox.flink.image(IMAGE, { flinkVersion });
    orders.describeJar(IMAGE, LONG_STAGES);
    await orders.roundsUntil('Running', { seconds: 60 });

    orders.describeJar(NEXT_IMAGE, { failsAtStart: 'no such topic' });
    orders.changeImage();
    await orders.roundsUntil('DeployFailed');

    expect(orders.events()).toContain('Normal RollbackSucceeded');
    expect(orders.lastRun()).toMatchObject({ image: IMAGE, state: 'RUNNING' });
    expect(orders.status().jobStatus?.health).toBe('Green');
  });

  it('goes on with fewer slots than its stages have tasks, as Flink lets it', async () => {
    const vertices = [{ name: 'Source: read', parallelism: 8 }, { name: 'write' }];
    orders = await anApplication();
    orders.sandbox.flink.image(IMAGE, { flinkVersion });
    orders.describeJar(IMAGE, { ...LONG_STAGES, vertices });

    await orders.roundsUntil('Running', { seconds: 60 });

    expect(orders.status().jobStatus).toMatchObject({ health: 'Green' });
  });
});

it('a streaming job that lacks slots fails in time, though some vertices would fit', async () => {
  const vertices = [{ name: 'Source: read', parallelism: 8 }, { name: 'write' }];
  orders = await anApplication();
  orders.describeJar(IMAGE, { vertices });

  await orders.roundsUntil('DeployFailed', { seconds: 400 });

  expect(orders.status().failedDeploy).toMatchObject({ reason: 'JobMonitoringFailed' });
});

describe('a batch job that runs, of which Flink takes no savepoint', () => {
  it('runs on when a change arrives, which is deployed when it has finished', async () => {
    orders = await aDeployedApplication({}, LONG_STAGES);
    orders.describeJar(NEXT_IMAGE, LONG_STAGES);

    orders.changeImage();
    await orders.roundsUntil('DeployFailed', { seconds: 60 });
    const [first, ...others] = orders.livingJobs();
    expect([first?.state, others, orders.savepoints()]).toEqual(['RUNNING', [], []]);
    expect(orders.conditions()).toContain('Deployed False SavepointRefused');

    for (let minutes = 0; minutes < 60 && orders.status().phase !== 'Running'; minutes += 5) {
      orders.sandbox.clock.advance(300);
      await orders.rounds(30);
    }
    expect(orders.runs()).toMatchObject([{ state: 'FINISHED' }, { image: NEXT_IMAGE, restoredFrom: undefined }]);
  });

  it('is cancelled for it where the spec says so, and the next one begins from the start', async () => {
    orders = await aDeployedApplication({ savepointDisabled: true }, LONG_STAGES);
    orders.describeJar(NEXT_IMAGE, LONG_STAGES);

    orders.changeImage();
    await orders.roundsUntil('Running', { seconds: 60 });

    expect(orders.runs()).toMatchObject([{ state: 'CANCELED' }, { image: NEXT_IMAGE, state: 'RUNNING' }]);
  });

  it('is deleted at once, and it is said that nothing of it is left', async () => {
    orders = await aDeployedApplication({}, LONG_STAGES);

    await orders.delete();
    await orders.roundsUntil(isGone, { seconds: 20 });

    expect(orders.events().at(-1)).toBe('Warning DeletedWithoutSavepoint');
  });
});
