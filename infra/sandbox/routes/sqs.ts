// SQS standard queues in the AWS JSON protocol, on the sandbox's clock: delays, visibility time-outs, batches.
import { createHash, randomUUID } from 'node:crypto';
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';

const targetPrefix = 'AmazonSQS.';
const longestDelaySeconds = 900;
const largestBatch = 10;
const defaultVisibilitySeconds = 30;

export interface QueuedMessage {
  readonly messageId: string;
  readonly body: string;
  /** When it was sent, epoch milliseconds. */
  readonly sentTime: number;
  /** From when on it can be received, epoch milliseconds: after its delay, or after the visibility time-out of its last receipt. */
  readonly visibleTime: number;
  readonly receiveCount: number;
  readonly receiptHandle?: string;
}

interface Entry {
  readonly Id: string;
  readonly MessageBody: string;
  readonly DelaySeconds?: number;
}

/** Lets the queue answer that the request names. */
export function answerSqs(queues: readonly Queue[], request: SandboxRequest): Answer {
  const { QueueUrl } = JSON.parse(request.body.toString() || '{}');
  const path = URL.canParse(QueueUrl) ? new URL(QueueUrl).pathname : undefined;
  const queue = queues.find((candidate) => candidate.path === path);
  if (queue === undefined)
    return fault('QueueDoesNotExist', 'The specified queue does not exist.', 'AWS.SimpleQueueService.NonExistentQueue');
  return queue.answer(request);
}

export class Queue {
  readonly path: string;
  readonly #now: () => number;
  #messages: readonly QueuedMessage[] = [];

  /** @param path of the queue's URL; @param now the sandbox's time, epoch milliseconds */
  constructor(path: string, now: () => number) {
    this.path = path;
    this.#now = now;
  }

  /** Everything in the queue in the order it was sent, delayed and received messages too. */
  get messages(): readonly QueuedMessage[] {
    return this.#messages;
  }

  /** True when the request is one for SQS. */
  static isFor({ headers }: SandboxRequest): boolean {
    return String(headers['x-amz-target'] ?? '').startsWith(targetPrefix);
  }

  answer({ headers, body }: SandboxRequest): Answer {
    const input = JSON.parse(body.toString() || '{}');
    const operation = String(headers['x-amz-target']).slice(targetPrefix.length);
    switch (operation) {
      case 'SendMessage':
        return this.#sendOne(input);
      case 'SendMessageBatch':
        return this.#sendBatch(input.Entries ?? []);
      case 'ReceiveMessage':
        return this.#receive(input);
      case 'DeleteMessage':
        this.#messages = this.#messages.filter(({ receiptHandle }) => receiptHandle !== input.ReceiptHandle);
        return jsonAnswer(200, {});
      default:
        return fault('UnsupportedOperation', `The sandbox does not imitate ${operation}.`);
    }
  }

  #sendOne(entry: Entry): Answer {
    const problem = delayProblem(entry);
    if (problem) return fault('InvalidParameterValue', problem);
    const { Id, ...result } = this.#send(entry);
    return jsonAnswer(200, result);
  }

  #sendBatch(entries: readonly Entry[]): Answer {
    if (entries.length === 0)
      return fault('EmptyBatchRequest', 'There should be at least one SendMessageBatchRequestEntry in the request.');
    if (entries.length > largestBatch)
      return fault(
        'TooManyEntriesInBatchRequest',
        `Maximum number of entries per request are ${largestBatch}. You have sent ${entries.length}.`,
      );
    if (new Set(entries.map(({ Id }) => Id)).size < entries.length)
      return fault('BatchEntryIdsNotDistinct', 'Two or more batch entries in the request have the same Id.');
    const failed = entries.flatMap((entry) => {
      const Message = delayProblem(entry);
      return Message ? [{ Id: entry.Id, SenderFault: true, Code: 'InvalidParameterValue', Message }] : [];
    });
    const successful = entries.filter((entry) => !delayProblem(entry)).map((entry) => this.#send(entry));
    return jsonAnswer(200, { Successful: successful, ...(failed.length > 0 && { Failed: failed }) });
  }

  #send({ Id, MessageBody, DelaySeconds = 0 }: Entry) {
    const messageId = randomUUID();
    const sentTime = this.#now();
    const visibleTime = sentTime + DelaySeconds * 1000;
    this.#messages = [...this.#messages, { messageId, body: MessageBody, sentTime, visibleTime, receiveCount: 0 }];
    return { Id, MessageId: messageId, MD5OfMessageBody: md5(MessageBody) };
  }

  #receive(input: { MaxNumberOfMessages?: number; VisibilityTimeout?: number }): Answer {
    const now = this.#now();
    const visibleTime = now + (input.VisibilityTimeout ?? defaultVisibilitySeconds) * 1000;
    const received = this.#messages
      .filter((message) => message.visibleTime <= now)
      .slice(0, input.MaxNumberOfMessages ?? 1)
      .map((message) => ({
        ...message,
        visibleTime,
        receiveCount: message.receiveCount + 1,
        receiptHandle: randomUUID() as string,
      }));
    const byId = new Map(received.map((message) => [message.messageId, message]));
    this.#messages = this.#messages.map((message) => byId.get(message.messageId) ?? message);
    return jsonAnswer(200, received.length === 0 ? {} : { Messages: received.map(wireMessage) });
  }
}

function wireMessage({ messageId, body, sentTime, receiveCount, receiptHandle }: QueuedMessage): object {
  return {
    MessageId: messageId,
    ReceiptHandle: receiptHandle,
    Body: body,
    MD5OfBody: md5(body),
    Attributes: { SentTimestamp: String(sentTime), ApproximateReceiveCount: String(receiveCount) },
  };
}

function delayProblem({ DelaySeconds = 0 }: Entry): string | undefined {
  if (Number.isInteger(DelaySeconds) && DelaySeconds >= 0 && DelaySeconds <= longestDelaySeconds) return undefined;
  return `Value ${DelaySeconds} for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= ${longestDelaySeconds}.`;
}

function fault(type: string, message: string, queryCode = type): Answer {
  const body = { __type: `com.amazonaws.sqs#${type}`, message };
  return jsonAnswer(400, body, { 'x-amzn-query-error': `${queryCode};Sender` });
}

function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
