// What Headrace leaves for Lyft's operator to go on with.

import { afterEach, describe, expect, it } from 'vitest';
import { aDeployedApplication, type Deployments, NEXT_IMAGE } from '../support/deployments.ts';

let orders: Deployments;
afterEach(() => orders.close());

describe('status.deploymentMode', () => {
  /** What the operator refuses every change for: it compares two strings. */
  const isRefusedByOperator = () => {
    const { deploymentMode: written = '' } = orders.application().spec as { deploymentMode?: string };
    const { deploymentMode: noted = '' } = orders.status();
    return written !== (noted || written);
  };

  it.each`
    written        | noted
    ${undefined}   | ${undefined}
    ${'Dual'}      | ${'Dual'}
    ${'BlueGreen'} | ${'BlueGreen'}
  `('is what the spec says: $written', async ({ written, noted }) => {
    orders = await aDeployedApplication(written && { deploymentMode: written });
    await orders.rounds(4);

    expect(orders.status().deploymentMode).toBe(noted);
    expect(isRefusedByOperator()).toBe(false);
  });

  it('that an older Headrace wrote is taken back, without a deploy', async () => {
    orders = await aDeployedApplication();
    const { generation } = orders.application().metadata;
    const events = orders.events();
    orders.writeStatus({ deploymentMode: 'Dual' });
    expect(isRefusedByOperator()).toBe(true);

    await orders.rounds(4);

    expect(isRefusedByOperator()).toBe(false);
    expect(orders.status()).toMatchObject({ phase: 'Running' });
    expect(orders.events()).toEqual(events);
    expect(orders.application().metadata.generation).toBe(generation);
  });

  it('follows a spec that says the same in other words', async () => {
    orders = await aDeployedApplication({ deploymentMode: 'Dual' });

    orders.edit(({ deploymentMode, ...spec }) => spec);
    await orders.rounds(4);

    expect(isRefusedByOperator()).toBe(false);
    expect(orders.status()).toMatchObject({ phase: 'Running' });
  });

  it('is settled all the same: a change to BlueGreen is refused', async () => {
    orders = await aDeployedApplication();

    orders.edit((spec) => ({ ...spec, deploymentMode: 'BlueGreen', image: NEXT_IMAGE }));
    await orders.rounds(6);

    expect(orders.events()).toContain('Warning UnsupportedChange');
    expect(orders.status().phase).toBe('DeployFailed');
    expect(orders.runs()).toHaveLength(1);
    orders.edit(({ deploymentMode, ...spec }) => spec);
    await orders.roundsUntil('Running');
    expect(orders.lastRun()).toMatchObject({ image: NEXT_IMAGE });
  });
});
