import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { EventBridgeEvent, SQSEvent } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import reconcile from '../events/reconcile.json' with { type: 'json' };
import reconcileLate from '../events/reconcile-late.json' with { type: 'json' };
import reconcileMalformed from '../events/reconcile-malformed.json' with { type: 'json' };
import reconcileNamed from '../events/reconcile-named.json' with { type: 'json' };
import reconcileUnknownShard from '../events/reconcile-unknown-shard.json' with { type: 'json' };
import scaleCheck from '../events/scale-check.json' with { type: 'json' };
import scaleCheckLate from '../events/scale-check-late.json' with { type: 'json' };
import scaleCheckMalformed from '../events/scale-check-malformed.json' with { type: 'json' };
import scaleCheckUnknownCluster from '../events/scale-check-unknown-cluster.json' with { type: 'json' };
import schedule from '../events/schedule.json' with { type: 'json' };
import scheduleAnySecond from '../events/schedule-any-second.json' with { type: 'json' };

// `satisfies` has the type check compare each file with what AWS sends; the schemas add what types cannot say.
const scheduled = {
  'schedule.json': schedule,
  'schedule-any-second.json': scheduleAnySecond,
} satisfies Record<string, EventBridgeEvent<string, object>>;
const queued = {
  'reconcile.json': reconcile,
  'reconcile-named.json': reconcileNamed,
  'reconcile-late.json': reconcileLate,
  'reconcile-malformed.json': reconcileMalformed,
  'reconcile-unknown-shard.json': reconcileUnknownShard,
  'scale-check.json': scaleCheck,
  'scale-check-late.json': scaleCheckLate,
  'scale-check-malformed.json': scaleCheckMalformed,
  'scale-check-unknown-cluster.json': scaleCheckUnknownCluster,
} satisfies Record<string, SQSEvent>;
const ofNoAwsService = ['schedule-malformed.json'];

const folder = new URL('../events/', import.meta.url);
const files = readdirSync(folder).filter((name) => name.endsWith('.json'));

const ScheduledEvent = z.strictObject({
  version: z.literal('0'),
  id: z.uuid(),
  'detail-type': z.literal('Scheduled Event'),
  source: z.literal('aws.events'),
  account: z.literal('123456789012'),
  time: z.iso.datetime({ precision: 0 }),
  region: z.string(),
  resources: z.tuple([z.string().regex(/^arn:aws:events:[a-z0-9-]+:123456789012:rule\//)]),
  detail: z.strictObject({}),
});

const epochMs = z.string().regex(/^\d{13}$/);
const QueueEvent = z.strictObject({
  Records: z.tuple([
    z.strictObject({
      messageId: z.uuid(),
      receiptHandle: z.string().min(1),
      body: z.string(),
      attributes: z.strictObject({
        ApproximateReceiveCount: z.string().regex(/^\d+$/),
        SentTimestamp: epochMs,
        SenderId: z.string().min(1),
        ApproximateFirstReceiveTimestamp: epochMs,
      }),
      messageAttributes: z.strictObject({}),
      md5OfBody: z.string(),
      eventSource: z.literal('aws:sqs'),
      eventSourceARN: z.string().regex(/^arn:aws:sqs:[a-z0-9-]+:123456789012:/),
      awsRegion: z.string(),
    }),
  ]),
});

/** How long after it was due the tick or round of an event was received, seconds. */
function lateSeconds({ Records: [record] }: SQSEvent): number {
  const { dueTime } = JSON.parse(record?.body ?? '');
  return (Number(record?.attributes.ApproximateFirstReceiveTimestamp) - Date.parse(dueTime)) / 1000;
}

describe('the events', () => {
  it('are all looked at here', () => {
    expect(files.sort()).toEqual([...Object.keys(scheduled), ...Object.keys(queued), ...ofNoAwsService].sort());
  });

  it('are all explained in the README, which explains no others', () => {
    const readme = readFileSync(new URL('README.md', folder), 'utf8');
    const rows = [...readme.matchAll(/^\| `([^`]+\.json)` \|/gm)].map((match) => match[1]);

    expect(rows.sort()).toEqual(files.sort());
  });

  it.each(Object.entries(scheduled))('%s is a scheduled event', (_file, event) => {
    expect(ScheduledEvent.parse(event)).toEqual(event);
  });

  it.each(Object.entries(queued))('%s is one message of a queue, with the MD5 of its body', (_file, event) => {
    const [record] = QueueEvent.parse(event).Records;

    expect(record.md5OfBody).toBe(createHash('md5').update(record.body).digest('hex'));
  });

  it('hold a tick on time and one that is a whole period late', () => {
    expect(lateSeconds(scaleCheck)).toBeLessThan(1);
    expect(lateSeconds(scaleCheckLate)).toBeGreaterThanOrEqual(15);
  });

  it('hold rounds on time and one that is a whole minute late', () => {
    expect(lateSeconds(reconcile)).toBeLessThan(1);
    expect(lateSeconds(reconcileNamed)).toBeLessThan(1);
    expect(lateSeconds(reconcileLate)).toBeGreaterThanOrEqual(60);
  });
});
