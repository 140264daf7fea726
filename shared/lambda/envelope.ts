// How an AWS envelope becomes a call: middy checks the event against a schema, and tells a broken one from a broken world.

import middy from '@middy/core';
import type { Context } from 'aws-lambda';
import * as z from 'zod';
import { describeError, TerminalError } from '../errors.ts';
import { createLambdaLog } from './log.ts';

const log = createLambdaLog();

/** The event is not what this function is triggered with; trying it again cannot help. */
class InvalidEventError extends TerminalError {
  override readonly name = 'InvalidEventError';
}

/** Wraps a function of one checked event into a Lambda handler. */
export function createHandler<Schema extends z.ZodType>(
  schema: Schema,
  run: (event: z.output<Schema>) => Promise<void>,
) {
  return middy(async (event: unknown, _context: Context): Promise<void> => {
    try {
      await run(parse(schema, event, 'the event'));
    } catch (error) {
      // Lambda's own line has the outermost message alone; the cause is what helps.
      log.error('invocation failed', { error: describeError(error) });
      throw error;
    }
  });
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, what: string): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'it'}: ${message}`);
  throw new InvalidEventError(`reading ${what}: ${faults.join('; ')}`);
}

const SqsEvent = z.object({ Records: z.array(z.object({ messageId: z.string(), body: z.string() })) });

/**
 * Wraps a function of one message into a handler of an SQS queue with batch size 1. Whatever fails is thrown: Lambda
 * counts it as an error, and a message that is no message of ours ends in the dead-letter queue.
 */
export function createQueueHandler<Schema extends z.ZodType>(
  message: Schema,
  run: (message: z.output<Schema>) => Promise<void>,
) {
  return createHandler(SqsEvent, async ({ Records }) => {
    for (const { messageId, body } of Records)
      await run(parse(message, parseBody(body), `the body of message ${messageId}`));
  });
}

function parseBody(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch (cause) {
    throw new InvalidEventError('reading the body of a message: it must be JSON', { cause });
  }
}
