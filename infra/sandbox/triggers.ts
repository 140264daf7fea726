// What AWS does around the functions: EventBridge's minute, and the poller that hands a queue's messages to a function.
// The handlers are the exported ones; nothing of them is replaced.

import { DeleteMessageCommand, type Message, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import type { Context } from 'aws-lambda';
import type { Sandbox } from './server.ts';

export interface Triggers {
  /** EventBridge: a minute begins. */
  minute(): Promise<void>;
  /** SQS: hands over every message that is visible now, ticks first; one that the function takes is gone. */
  poll(): Promise<void>;
  close(): void;
}

type Handler = (event: unknown, context: Context) => Promise<unknown>;

/** A queue and the function that it triggers. */
interface Source {
  readonly QueueUrl: string;
  readonly functionName: string;
  readonly handler: Handler;
}

/** Loads the functions as a cold start does: their environment is the process's. */
export async function connectTriggers(sandbox: Sandbox): Promise<Triggers> {
  Object.assign(process.env, sandbox.env);
  const schedule = (await import('../../functions/schedule.ts')).handler as unknown as Handler;
  const scaleCheck = (await import('../../functions/scale-check.ts')).handler as unknown as Handler;
  const reconcile = (await import('../../functions/reconcile.ts')).handler as unknown as Handler;
  const { AWS_REGION: region = '', AWS_ENDPOINT_URL: endpoint = '' } = sandbox.env;
  const { HEADRACE_QUEUE_URL: tickUrl = '', HEADRACE_RECONCILE_QUEUE_URL: roundUrl = '' } = sandbox.env;
  const sources = [
    { QueueUrl: tickUrl, functionName: 'scale-check', handler: scaleCheck },
    { QueueUrl: roundUrl, functionName: 'reconcile', handler: reconcile },
  ];
  const sqs = new SQSClient({ region, endpoint });
  return {
    async minute() {
      await schedule(scheduledEvent(sandbox.clock.now()), contextOf('schedule'));
    },
    async poll() {
      for (const source of sources) await drain(sqs, source);
    },
    close: () => sqs.destroy(),
  };
}

async function drain(sqs: SQSClient, source: Source): Promise<void> {
  const { QueueUrl, functionName, handler } = source;
  for (let message = await receive(sqs, source); message !== undefined; message = await receive(sqs, source)) {
    await handler(sqsEvent(message, functionName), contextOf(functionName));
    await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
  }
}

async function receive(sqs: SQSClient, { QueueUrl }: Source): Promise<Message | undefined> {
  const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 1 }));
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

function sqsEvent({ MessageId, ReceiptHandle, Body }: Message, functionName: string): object {
  return {
    Records: [
      {
        messageId: MessageId,
        receiptHandle: ReceiptHandle,
        body: Body,
        attributes: {},
        messageAttributes: {},
        eventSource: 'aws:sqs',
        eventSourceARN: `arn:aws:sqs:eu-west-1:123456789012:headrace-${functionName}`,
        awsRegion: 'eu-west-1',
      },
    ],
  };
}

function contextOf(functionName: string): Context {
  return { functionName, awsRequestId: '00000000-0000-0000-0000-000000000000' } as Context;
}
