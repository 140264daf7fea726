// What AWS does around the functions: EventBridge's minute, and the poller that hands a queue's messages to a function.
// The handlers are the exported ones; nothing of them is replaced.

import { DeleteMessageCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import type { Sandbox } from './server.ts';

export interface Triggers {
  /** EventBridge: a minute begins. */
  minute(): Promise<void>;
  /** SQS: hands over every message that is visible now; one that the function takes is gone. */
  poll(): Promise<void>;
  close(): void;
}

type Handler = (event: unknown, context: Context) => Promise<unknown>;

/** Loads the functions as a cold start does: their environment is the process's. */
export async function connectTriggers(sandbox: Sandbox): Promise<Triggers> {
  Object.assign(process.env, sandbox.env);
  const schedule = (await import('../../functions/schedule.ts')).handler as unknown as Handler;
  const scaleCheck = (await import('../../functions/scale-check.ts')).handler as unknown as Handler;
  const { AWS_REGION: region = '', AWS_ENDPOINT_URL: endpoint = '', HEADRACE_QUEUE_URL: QueueUrl = '' } = sandbox.env;
  const queue = new SQSClient({ region, endpoint });
  return {
    async minute() {
      await schedule(scheduledEvent(sandbox.clock.now()), contextOf('schedule'));
    },
    async poll() {
      for (
        let message = await receive(queue, QueueUrl);
        message !== undefined;
        message = await receive(queue, QueueUrl)
      ) {
        await scaleCheck(sqsEvent(message), contextOf('scale-check'));
        await queue.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
      }
    },
    close: () => queue.destroy(),
  };
}

async function receive(queue: SQSClient, QueueUrl: string): Promise<Message | undefined> {
  const { Messages } = await queue.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1 }));
  return Messages?.[0];
}

/** As EventBridge sends it: the time is the minute's, whole seconds. */
function scheduledEvent(time: number): object {
  return {
    version: '0',
    id: '53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa',
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: '123456789012',
    time: `${new Date(time).toISOString().slice(0, 19)}Z`,
    region: 'eu-west-1',
    resources: ['arn:aws:events:eu-west-1:123456789012:rule/headrace-schedule'],
    detail: {},
  };
}

function sqsEvent({ MessageId, ReceiptHandle, Body }: Message): object {
  return {
    Records: [
      {
        messageId: MessageId,
        receiptHandle: ReceiptHandle,
        body: Body,
        attributes: {},
        messageAttributes: {},
        eventSource: 'aws:sqs',
        eventSourceARN: 'arn:aws:sqs:eu-west-1:123456789012:headrace-scale-check',
        awsRegion: 'eu-west-1',
      },
    ],
  };
}

function contextOf(functionName: string): Context {
  return { functionName, awsRequestId: '00000000-0000-0000-0000-000000000000' } as Context;
}
