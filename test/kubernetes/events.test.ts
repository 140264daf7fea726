import { describe, expect, it } from 'vitest';
import { applicationReference, autoscalerReference, createEvent } from '../../shared/kubernetes/events.ts';
import { anApiServer, NAMESPACE } from '../support/api-server.ts';

const time = Date.parse('2026-03-01T12:00:00.123Z');
const event = { type: 'Warning', reason: 'DeployFailed', message: 'a pod does not come up', time } as const;
const orders = { namespace: NAMESPACE, name: 'orders', uid: 'u-1' };

describe('an Event', () => {
  it('is on the FlinkApplication that it is about', async () => {
    const { sandbox, client } = await anApiServer();

    await createEvent(client, { object: applicationReference(orders), ...event });

    expect(sandbox.store.list('Event')).toEqual([
      expect.objectContaining({
        involvedObject: { apiVersion: 'flink.k8s.io/v1beta1', kind: 'FlinkApplication', ...orders },
        type: 'Warning',
        reason: 'DeployFailed',
        message: 'a pod does not come up',
      }),
    ]);
  });

  it('on an application and the same one on an autoscaler of its name are two', async () => {
    const { sandbox, client } = await anApiServer();

    await createEvent(client, { object: applicationReference(orders), ...event });
    await createEvent(client, { object: autoscalerReference(orders), ...event });

    expect(sandbox.store.list('Event').map(({ involvedObject }) => involvedObject)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ kind: 'FlinkApplication' }),
        expect.objectContaining({ kind: 'FlinkAutoscaler' }),
      ]),
    );
  });
});
