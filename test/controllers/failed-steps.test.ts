// What is remembered of a step that a user's edit, or a refusal, met half-way.

import { afterEach, describe, expect, it } from 'vitest';
import { aShard, type Shard } from '../support/sandbox.ts';

let shard: Shard;
afterEach(() => shard.close());

describe('an edit of parallelism right after a step', () => {
  it.each([{ parallelism: 2 }, { parallelism: 12 }])(
    'leaves the step on record as it was: $parallelism',
    async ({ parallelism }) => {
      shard = await aShard({ usagePercent: 80 });
      await shard.ticks(1);
      shard.setLoad(0);
      shard.change('FlinkApplication', 'orders', ({ spec }) => ({ spec: { ...spec, parallelism } }));

      await shard.ticks(1);

      expect(shard.status().scaleEvents).toMatchObject([{ change: 2 }]);
    },
  );
});

describe('a size that may never be written', () => {
  it('is told in one Event, however often it is tried', async () => {
    shard = await aShard({ usagePercent: 80 });
    shard.sandbox.faults.add({ kind: 'status', code: 403, method: 'PATCH', path: /flinkapplications\/orders\/scale/ });

    await shard.ticks(10);

    const events = shard.sandbox.requests.filter(({ method, path }) => method === 'POST' && path.endsWith('/events'));
    expect(events.map(({ body }) => (body as { reason: string }).reason)).toEqual(['FailedRescale']);
  });
});
