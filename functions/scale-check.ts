// A message from the queue: every autoscaler of one shard, once.

import * as z from 'zod';
import { runTick } from '../shared/controllers/tick.ts';
import { createQueueHandler } from '../shared/lambda/envelope.ts';
import { Instant } from '../shared/lambda/instant.ts';
import { emitTick } from '../shared/lambda/metrics.ts';
import { controlPlane } from '../shared/lambda/plane.ts';

const TickMessage = z.object({
  cluster: z.string().min(1),
  shard: z.string().min(1),
  dueTime: Instant,
  // Absent in messages of a schedule that is older than this function.
  until: Instant.optional(),
});

export const handler = createQueueHandler(TickMessage, (message) => runTick(controlPlane(), message, emitTick));
