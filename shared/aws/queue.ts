import type { SendMessageBatchCommandOutput, SQSClient } from '@aws-sdk/client-sqs';
import { RetryableError } from '../errors.ts';
import { SDK_LIMITS } from './limits.ts';

export interface DelayedMessage {
  readonly body: string;
  /** Whole seconds, 0 to 900. */
  readonly delaySeconds: number;
}

/** One SQS queue, for sending. */
export interface Queue {
  /** Sends every message, or throws a RetryableError that says how many were not taken. */
  send(messages: readonly DelayedMessage[]): Promise<void>;
}

/** What SQS takes in one call. */
const BATCH_SIZE = 10;

/** Makes a sender to one queue; the SDK is loaded and connected with the first message. */
export function createQueue(queueUrl: string, region: string): Queue {
  let client: SQSClient | undefined;
  return {
    async send(messages) {
      client ??= new (await import('@aws-sdk/client-sqs')).SQSClient({ region, ...SDK_LIMITS });
      // A batch that fails is told when the others have gone out.
      const failures: unknown[] = [];
      for (let start = 0; start < messages.length; start += BATCH_SIZE)
        await sendBatch(client, queueUrl, messages.slice(start, start + BATCH_SIZE)).catch((error) =>
          failures.push(error),
        );
      if (failures.length > 0) throw failures[0];
    },
  };
}

async function sendBatch(client: SQSClient, queueUrl: string, messages: readonly DelayedMessage[]): Promise<void> {
  const Entries = messages.map(({ body, delaySeconds }, index) => ({
    Id: String(index),
    MessageBody: body,
    DelaySeconds: delaySeconds,
  }));
  const { SendMessageBatchCommand } = await import('@aws-sdk/client-sqs');
  let answer: SendMessageBatchCommandOutput;
  try {
    answer = await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
  } catch (cause) {
    throw new RetryableError(`sending ${messages.length} messages to ${queueUrl}`, { cause });
  }
  const refused = answer.Failed ?? [];
  if (refused.length > 0)
    throw new RetryableError(
      `sending to ${queueUrl}: ${refused.length} of ${messages.length} messages refused, first: ${refused[0]?.Message}`,
    );
}
