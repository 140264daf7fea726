// Every minute, for each cluster and shard: four ticks into one queue, a round into another.

import * as z from 'zod';
import { scheduleMinute } from '../shared/controllers/schedule.ts';
import { createHandler } from '../shared/lambda/envelope.ts';
import { Instant } from '../shared/lambda/instant.ts';
import { controlPlane } from '../shared/lambda/plane.ts';

/** What EventBridge sends: the minute that begins. */
const ScheduledEvent = z.object({ time: Instant });

export const handler = createHandler(ScheduledEvent, ({ time }) => scheduleMinute(controlPlane(), time));
