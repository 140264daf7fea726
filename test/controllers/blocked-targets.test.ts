// An autoscaler whose application cannot be deployed: both are real objects of one sandbox, looked at by ticks and by rounds.

import { afterEach, describe, expect, it } from 'vitest';
import { aDeployedApplication, type Deployments } from '../support/deployments.ts';
import { leaveAsLyftDoes } from '../support/other-operator.ts';
import { Shard } from '../support/sandbox.ts';

let orders: Deployments;
afterEach(() => orders.close());

/** An application of two TaskManagers, and an autoscaler that has just asked for seven, whatever the metrics are. */
async function anApplicationThatIsAskedForSeven(change: (deployments: Deployments) => void): Promise<Shard> {
  orders = await aDeployedApplication({ timeouts: { clusterStartSeconds: 30 } });
  const shard = new Shard(orders.sandbox);
  change(orders);
  shard.addAutoscaler({ spec: { minReplicas: 7 } });
  await shard.tick();
  return shard;
}

/** An application as another operator has left it, and an autoscaler whose bounds it does not keep. */
async function aForeignTarget(): Promise<Shard> {
  orders = await aDeployedApplication();
  leaveAsLyftDoes(orders);
  const shard = new Shard(orders.sandbox);
  shard.addAutoscaler({ spec: { minReplicas: 7 } });
  return shard;
}

const messageOf = (shard: Shard) => shard.status().conditions?.find(({ type }) => type === 'TargetDeployed')?.message;

describe('an autoscaler', () => {
  it('reports that its target has an invalid spec, until that is mended', async () => {
    const shard = await anApplicationThatIsAskedForSeven(() => orders.edit((spec) => ({ ...spec, uiPort: 6123 })));
    await orders.rounds(4);

    const [blocked] = (await shard.tick()).autoscalers;

    expect(shard.size()).toBe(7);
    expect(blocked?.decision?.blocker).toMatch(/^asked for 7, 2 run: its spec is invalid: .*uiPort/);
    expect(messageOf(shard)).toBe(blocked?.decision?.blocker);
    expect(shard.status().currentReplicas).toBe(2);
    expect(await orders.readScale()).toMatchObject({ replicas: 7, statusReplicas: 2 });

    orders.edit(({ uiPort: _, ...spec }) => spec);
    await orders.roundsUntil(() => orders.taskManagers().length === 7);
    await orders.roundsUntil('Running');
    const [mended] = (await shard.tick()).autoscalers;

    expect(mended?.decision).not.toHaveProperty('blocker');
    expect(shard.conditions()).toContain('TargetDeployed True TargetDeployed');
    expect(shard.status().currentReplicas).toBe(7);
  });

  it('reports that the deploy of its target failed, and when it is tried again', async () => {
    const shard = await anApplicationThatIsAskedForSeven(() => {
      orders.sandbox.flink.image('typo', { pullable: false });
      orders.edit((spec) => ({ ...spec, image: 'typo' }));
    });
    await orders.roundsUntil('DeployFailed');

    const [blocked] = (await shard.tick()).autoscalers;

    expect(blocked?.decision?.blocker).toMatch(
      /^asked for 7, 2 run: deploy failed: .*ImagePullBackOff.*; tried again at 2026-/,
    );
    expect(shard.conditions()).toContain('TargetDeployed False TargetDeployFailed');
    expect(shard.status().lastDecision?.message).toContain('asked for 7, 2 run');
  });

  it('reports that another operator is at work on its target', async () => {
    const shard = await anApplicationThatIsAskedForSeven(() => {});
    orders.writeStatus({
      conditions: [{ type: 'Owned', status: 'False', reason: 'AnotherOperatorActive', message: 'it writes' }],
    });

    const [blocked] = (await shard.tick()).autoscalers;

    expect(blocked?.decision?.blocker).toBe('asked for 7, 2 run: it writes');
    expect(shard.conditions()).toContain('TargetDeployed False TargetNotOwned');
  });

  it('writes nothing to a target that another operator deploys, neither replicas nor status', async () => {
    const shard = await aForeignTarget();
    await orders.round();
    const { spec, status } = structuredClone(orders.application());

    await shard.ticks(3);

    expect(orders.application()).toMatchObject({ status });
    expect(orders.application().spec).toEqual(spec);
    expect(orders.status()).not.toHaveProperty('scaleBasis');
    expect(shard.conditions()).toContain('ScalingActive False TargetNotOwned');
  });

  it('writes nothing to it either where that operator has taken the condition away with a write', async () => {
    const shard = await aForeignTarget();
    const { spec, status } = structuredClone(orders.application());

    const [report] = await shard.ticks(3);

    expect(orders.application().status).toEqual(status);
    expect(orders.application().spec).toEqual(spec);
    expect(report?.autoscalers[0]?.decision?.message).toContain('was deployed by another operator');
  });

  it('writes nothing more while it is blocked by the same', async () => {
    const shard = await anApplicationThatIsAskedForSeven(() => orders.edit((spec) => ({ ...spec, uiPort: 6123 })));
    await orders.rounds(4);
    // Until its pods have been up for as long as metrics are waited for.
    await shard.ticks(4);
    const before = shard.writes.length;

    await shard.ticks(4);

    expect(shard.writes).toHaveLength(before);
  });
});
