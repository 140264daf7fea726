import { describe, expect, it } from 'vitest';
import { noteError } from '../../../shared/deployment/failures.ts';
import type { ApplicationStatus } from '../../../shared/deployment/types.ts';
import { inSeconds, midway, NEW_JOB, NOW, newJob, oldJob, without } from '../scenes.ts';

const ERROR = { appError: '503 Service Unavailable', method: 'SubmitJob', isRetryable: true, maxRetries: 20 };

describe('F1: errors are never counted, so that nothing is ever given up', () => {
  it('counts each, and keeps its time', () => {
    const once = noteError({}, ERROR, NOW);
    const twice = noteError(once, ERROR, NOW + 1000);

    expect(once).toEqual({ retryCount: 1, lastSeenError: { ...ERROR, lastErrorUpdateTime: inSeconds(0) } });
    expect(twice).toEqual({ retryCount: 2, lastSeenError: { ...ERROR, lastErrorUpdateTime: inSeconds(1) } });
  });

  it.each(['SubmittingJob', 'Savepointing', 'ClusterStarting'])('gives %s up when its retries are used up', (phase) => {
    const failing = (count: number): Partial<ApplicationStatus> => {
      let status: ApplicationStatus = {};
      for (let error = 0; error < count; error += 1) status = noteError(status, ERROR, NOW - 60_000);
      return status;
    };
    const phaseAfter = (count: number) =>
      midway(phase, {
        status: failing(count),
        rollout: { jobId: NEW_JOB },
        ...(phase === 'SubmittingJob' && { old: oldJob({ state: 'CANCELED' }), next: newJob({ state: 'LOST' }) }),
        ...(phase === 'ClusterStarting' && { next: { cluster: undefined, jobManager: undefined } }),
      }).status.phase;

    expect(phaseAfter(20)).toBe(phase);
    expect(phaseAfter(21)).not.toBe(phase);
  });

  it('waits longer after each, and tries again', () => {
    const effectsAfter = (retryCount: number, secondsSince: number) =>
      midway('SubmittingJob', {
        status: { ...noteError({ retryCount }, ERROR, NOW - secondsSince * 1000) },
        rollout: { jobId: NEW_JOB },
        old: oldJob({ state: 'CANCELED' }),
        next: newJob({ state: 'LOST' }),
      }).effects.length;

    expect([effectsAfter(0, 0.1), effectsAfter(0, 1)]).toEqual([0, 1]);
    expect([effectsAfter(5, 1), effectsAfter(5, 7)]).toEqual([0, 1]);
  });

  it('does not need what was never counted', () => {
    const next = midway('Savepointing', { status: without(['retryCount'], { lastSeenError: ERROR }) });

    expect(next.status.phase).toBe('Savepointing');
  });
});
