// A shard that names its namespaces: a right that is missing in one of them is that one's affair.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { anApplication, type Deployments } from '../support/deployments.ts';

const NAMESPACES = ['flink', 'payments'];

let deployments: Deployments;

beforeEach(async () => {
  deployments = await anApplication();
});

afterEach(() => deployments.sandbox.close());

function forbid(namespace: string): void {
  const path = new RegExp(`/namespaces/${namespace}/flinkapplications\\?`);
  deployments.sandbox.faults.add({ kind: 'status', code: 403, method: 'GET', path });
}

describe('a round over several namespaces', () => {
  it('deploys in the one that it can read, and says which one it cannot', async () => {
    forbid('payments');

    await deployments.roundsUntil('Running', { namespaces: NAMESPACES });

    expect(deployments.warnings.join('\n')).toContain('namespace not read');
  });

  it('fails when it can read none', async () => {
    for (const namespace of NAMESPACES) forbid(namespace);

    await expect(deployments.round({ namespaces: NAMESPACES })).rejects.toThrow('403');
  });
});
