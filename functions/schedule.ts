// Every minute: one message per cluster, shard and tick into the queue.

import * as z from 'zod';
import { scheduleTicks } from '../shared/controllers/schedule.ts';
import { createHandler } from '../shared/lambda/envelope.ts';
import { controlPlane } from '../shared/lambda/plane.ts';

/** What EventBridge sends: the minute that begins. */
const ScheduledEvent = z.object({ time: z.iso.datetime({ offset: true }).transform((time) => Date.parse(time)) });

export const handler = createHandler(ScheduledEvent, ({ time }) => scheduleTicks(controlPlane(), time));
