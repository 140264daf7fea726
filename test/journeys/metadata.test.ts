// Labels and annotations that tools write at every run: they deploy nothing, and the pods of the next deploy bear them.

import { describe, expect, it } from 'vitest';
import type { KubernetesObject } from '../../infra/sandbox/kinds.ts';
import { aDeployedApplication, type Deployments, NAMESPACE, NEXT_IMAGE } from '../support/deployments.ts';

/** Everything has had the time to be deployed, if it is. */
const settle = (orders: Deployments) => orders.rounds(60);

const untilDeployed = (orders: Deployments, runs: number) =>
  orders.roundsUntil(() => orders.runs().length === runs && orders.status().phase === 'Running');

interface Template {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> };
}

/** What the pods of the deployed JobManager bear. */
function podMetadata(orders: Deployments): Template['metadata'] {
  const name = `orders-${orders.status().deployHash}-jm`;
  const deployment = orders.sandbox.store.get('Deployment', NAMESPACE, name) as KubernetesObject;
  const { template } = deployment.spec as unknown as { readonly template: Template };
  return template.metadata;
}

describe('what a pipeline writes', () => {
  it('deploys nothing, and is on the pods of the next deploy', async () => {
    const orders = await aDeployedApplication();
    const labels = { 'app.kubernetes.io/instance': 'shop', 'app.kubernetes.io/managed-by': 'argocd' };
    orders.writeMetadata({ labels, annotations: { 'azure-pipelines/run': '7' } });
    await settle(orders);
    const runsBefore = orders.runs().length;

    orders.changeImage();
    await untilDeployed(orders, 2);

    expect(runsBefore).toBe(1);
    expect(podMetadata(orders)).toMatchObject({ labels, annotations: { 'azure-pipelines/run': '7' } });
  });

  it('does not put a deploy in the place of another', async () => {
    const orders = await aDeployedApplication();
    orders.changeImage();
    await orders.roundsUntil('ClusterStarting');
    orders.writeMetadata({ annotations: { 'actions.github.com/run': '8' } });

    await untilDeployed(orders, 2);
    await settle(orders);

    expect(orders.runs()).toHaveLength(2);
    expect(orders.events()).not.toContain('Normal DeploySuperseded');
  });

  it('is on the pods as it is now where the spec goes back to what was deployed before', async () => {
    const orders = await aDeployedApplication();
    orders.changeImage();
    await untilDeployed(orders, 2);
    orders.writeMetadata({ annotations: { 'azure-pipelines/run': '9' } });

    orders.changeImage('orders:1');
    await untilDeployed(orders, 3);

    expect(podMetadata(orders).annotations).toMatchObject({ 'azure-pipelines/run': '9' });
  });

  it('is not on the pods where it is true of the application alone', async () => {
    const orders = await aDeployedApplication();
    const annotations = {
      'kubectl.kubernetes.io/last-applied-configuration': '{}',
      'argocd.argoproj.io/tracking-id': 'x',
    };
    orders.writeMetadata({ annotations });

    orders.changeImage();
    await untilDeployed(orders, 2);

    for (const key of Object.keys(annotations)) expect(podMetadata(orders).annotations).not.toHaveProperty([key]);
  });
});

describe('an application that was deployed when more labels counted', () => {
  /** Its revision has a name that no longer follows from what it holds. */
  async function deployedBefore(labels: Record<string, string>): Promise<Deployments> {
    const orders = await aDeployedApplication();
    orders.writeMetadata({ labels });
    const { store } = orders.sandbox;
    const [name = ''] = orders.revisions();
    const { metadata, data, ...revision } = store.get('ControllerRevision', NAMESPACE, name) as KubernetesObject & {
      readonly data: object;
    };
    const { namespace, ownerReferences, labels: own } = metadata;
    const former = { namespace, name: 'orders-0123456789', labels: own, ownerReferences };
    store.put({ ...revision, metadata: former, data: { ...data, labels } } as KubernetesObject);
    store.remove('ControllerRevision', NAMESPACE, name);
    orders.writeStatus({ currentRevision: 'orders-0123456789' });
    return orders;
  }

  it('is not deployed again, whatever those labels say later', async () => {
    const orders = await deployedBefore({ 'app.kubernetes.io/instance': 'shop' });
    await settle(orders);
    orders.writeMetadata({ labels: { 'app.kubernetes.io/instance': 'store' } });

    await settle(orders);

    expect(orders.runs()).toHaveLength(1);
    expect(orders.conditions()).toContain('Deployed True Deployed');
  });

  it('is never said not to be deployed, and gets the name of today', async () => {
    const orders = await deployedBefore({ 'app.kubernetes.io/instance': 'shop' });
    const seen: string[] = [];
    for (let look = 0; look < 4; look += 1) {
      await orders.round();
      seen.push(...orders.conditions().filter((condition) => condition.startsWith('Deployed ')));
    }

    expect(new Set(seen)).toEqual(new Set(['Deployed True Deployed']));
    expect(orders.status().currentRevision).not.toBe('orders-0123456789');
    expect(orders.revisions()).toContain(orders.status().currentRevision);
  });

  it('is deployed for a label that still counts', async () => {
    const orders = await deployedBefore({ 'app.kubernetes.io/instance': 'shop', team: 'a' });
    orders.writeMetadata({ labels: { 'app.kubernetes.io/instance': 'shop', team: 'b' } });

    await untilDeployed(orders, 2);

    expect(podMetadata(orders).labels).toMatchObject({ team: 'b' });
  });
});

describe('excludedMetadata', () => {
  const build = (orders: Deployments, value: string) =>
    orders.writeMetadata({ labels: { 'ci.example.com/build': value } });

  it('excludes keys that the user names, and is no change itself', async () => {
    const orders = await aDeployedApplication();
    build(orders, '7');
    await untilDeployed(orders, 2);
    orders.edit((spec) => ({ ...spec, excludedMetadata: ['ci.example.com/*'] }));
    await settle(orders);
    build(orders, '8');
    await settle(orders);
    const runsBefore = orders.runs().length;

    orders.changeImage(NEXT_IMAGE);
    await untilDeployed(orders, 3);

    expect(runsBefore).toBe(2);
    expect(podMetadata(orders).labels).toMatchObject({ 'ci.example.com/build': '8' });
  });

  it('counts a key again that is excluded no more, if it has changed', async () => {
    const orders = await aDeployedApplication({ excludedMetadata: ['ci.example.com/build'] });
    build(orders, '8');
    await settle(orders);

    orders.edit(({ excludedMetadata, ...spec }) => spec);
    await untilDeployed(orders, 2);

    expect(podMetadata(orders).labels).toMatchObject({ 'ci.example.com/build': '8' });
  });

  it('is refused where it is no key and no domain, and the job runs on', async () => {
    const orders = await aDeployedApplication();
    orders.edit((spec) => ({ ...spec, image: NEXT_IMAGE, excludedMetadata: ['*'] }));

    await settle(orders);

    expect(orders.conditions()).toContain('SpecValid False InvalidSpec');
    expect(orders.runs()).toHaveLength(1);
  });
});
