// A message from the queue: the FlinkApplications of one shard, or those that it names, a few steps further.

import * as z from 'zod';
import { runRound } from '../shared/controllers/round.ts';
import { createQueueHandler } from '../shared/lambda/envelope.ts';
import { Instant } from '../shared/lambda/instant.ts';
import { emitRound } from '../shared/lambda/metrics.ts';
import { controlPlane } from '../shared/lambda/plane.ts';

const RoundMessage = z.object({
  cluster: z.string().min(1),
  shard: z.string().min(1),
  dueTime: Instant,
  until: Instant,
  applications: z
    .array(z.string().regex(/^[^/]+\/[^/]+$/, 'must be NAMESPACE/NAME'))
    .min(1)
    .optional(),
});

export const handler = createQueueHandler(RoundMessage, (message) => runRound(controlPlane(), message, emitRound));
