import { describe, expect, it } from 'vitest';
import { type DecisionInput, decide } from '../../shared/scaling/decide.ts';
import type { Decision, TargetCondition } from '../../shared/scaling/types.ts';
import { anAutoscalerSpec, anObservation, aScale, aStatus, NOW, seconds } from '../support/builders.ts';

const VALID: TargetCondition = { type: 'SpecValid', status: 'True', reason: 'Valid', message: 'fine' };
const INVALID: TargetCondition = { ...VALID, status: 'False', reason: 'InvalidSpec', message: 'spec.uiPort is "x".' };
const DEPLOYED: TargetCondition = { type: 'Deployed', status: 'True', reason: 'Deployed', message: 'fine' };
const FAILED: TargetCondition = {
  ...DEPLOYED,
  status: 'False',
  reason: 'ClusterStartTimedOut',
  message: 'no nodes; tried again at 2026-03-01T12:05:00Z',
};
const ENDED = (reason: string, message: string): TargetCondition => ({
  type: 'JobRunning',
  status: 'False',
  reason,
  message,
});
const FOREIGN: TargetCondition = {
  type: 'Owned',
  status: 'False',
  reason: 'AnotherOperatorActive',
  message: 'flinkoperator writes to the status',
};

/** A target that was asked for 5 and of which 2 run, both at their target's utilization. */
function aBlockedTarget(targetConditions: readonly TargetCondition[], overrides: Partial<DecisionInput> = {}) {
  const scale = { value: aScale({ replicas: 2, statusReplicas: 2 }) };
  return {
    spec: anAutoscalerSpec(),
    observation: anObservation({ scale, targetConditions }),
    status: aStatus(),
    now: NOW,
    ...overrides,
  };
}

const asked = (targetConditions: readonly TargetCondition[]): DecisionInput => {
  const input = aBlockedTarget(targetConditions);
  const scale = { value: aScale({ replicas: 5, statusReplicas: 2 }) };
  return { ...input, observation: anObservation({ ...input.observation, cpuPercent: 100, scale }) };
};

const conditionOf = ({ status }: Decision) => status.conditions.find(({ type }) => type === 'TargetDeployed');

describe('a target that does not deploy what it is asked for', () => {
  it.each([
    [[INVALID, DEPLOYED], 'TargetSpecInvalid', 'asked for 5, 2 run: its spec is invalid: spec.uiPort is "x".'],
    [[VALID, FAILED], 'TargetDeployFailed', `asked for 5, 2 run: deploy failed: ${FAILED.message}`],
    [[VALID, FAILED, FOREIGN], 'TargetNotOwned', `asked for 5, 2 run: ${FOREIGN.message}`],
  ])('is reported in a condition, the message and the record: %j', (conditions, reason, message) => {
    const decision = decide(asked(conditions));

    expect(conditionOf(decision)).toMatchObject({ status: 'False', reason, message });
    expect(decision.blocker).toBe(message);
    const isLeftAlone = reason === 'TargetNotOwned';
    expect(decision.message).toMatch(
      isLeftAlone ? /^FlinkApplication orders is not deployed by Headrace: / : /^stays at 5: /,
    );
    expect(decision.message).toContain(message);
    expect(decision.status.lastDecision?.message).toBe(decision.message);
    expect(decision.status.currentReplicas).toBe(2);
  });

  it('is not reported again by a tick that sees the same', () => {
    const first = decide(asked([VALID, FAILED]));

    const second = decide({ ...asked([VALID, FAILED]), status: first.status, now: NOW + seconds(15) });

    expect(second.blocker).toBe(first.blocker);
    expect(second.status.lastDecision).toEqual(first.status.lastDecision);
    expect(conditionOf(second)).toEqual(conditionOf(first));
  });

  it('is blocked until the next attempt has succeeded', () => {
    const blocked = decide(asked([VALID, FAILED]));
    const deploying: TargetCondition = { ...DEPLOYED, status: 'Unknown', reason: 'ClusterStarting' };

    const again = decide({ ...asked([VALID, deploying]), status: blocked.status, now: NOW + seconds(15) });
    const deployed = decide({ ...asked([VALID, DEPLOYED]), status: again.status, now: NOW + seconds(30) });

    expect(conditionOf(again)).toMatchObject({ status: 'Unknown', reason: 'TargetDeploying' });
    expect(conditionOf(deployed)).toMatchObject({ status: 'True', reason: 'TargetDeployed' });
    expect(deployed).not.toHaveProperty('blocker');
    expect(deployed.status.lastDecision?.message).not.toContain('asked for');
  });
});

describe('a target that nothing blocks', () => {
  it.each([
    ['is deployed', DEPLOYED],
    ['is about to be', { ...DEPLOYED, status: 'False', reason: 'NotUpToDate' }],
    ['has never been', { ...DEPLOYED, status: 'False', reason: 'NotDeployed' }],
    ['is being rolled back', { ...DEPLOYED, status: 'False', reason: 'RollingBack' }],
    ['is suspended', { ...DEPLOYED, status: 'False', reason: 'Suspended' }],
    ['could not be suspended, and runs on', { ...DEPLOYED, status: 'False', reason: 'SuspendFailed' }],
  ] as const)('gets no condition beyond those of an HPA while it %s', (_, condition) => {
    const decision = decide(asked([VALID, condition]));

    expect(conditionOf(decision)).toBeUndefined();
    expect(decision).not.toHaveProperty('blocker');
  });

  it('counts as many replicas as run, where its status has conditions', () => {
    expect(decide(asked([VALID, DEPLOYED])).status.currentReplicas).toBe(2);
  });

  it('counts those of its spec where it says nothing of its deployment, as an HPA does', () => {
    const { targetConditions: _, ...observation } = asked([]).observation;
    const decision = decide({ ...asked([]), observation });

    expect(decision.status.currentReplicas).toBe(5);
    expect(conditionOf(decision)).toBeUndefined();
  });
});

describe('a target whose job does not run', () => {
  const judge = (condition: TargetCondition, overrides: Partial<DecisionInput> = {}) =>
    decide({ ...asked([VALID, DEPLOYED, condition]), ...overrides });

  it.each`
    reason             | isFault
    ${'JobFinished'}   | ${false}
    ${'JobCanceled'}   | ${false}
    ${'JobCancelling'} | ${false}
    ${'JobFailed'}     | ${true}
    ${'JobLost'}       | ${true}
    ${'NoJob'}         | ${true}
  `('is not scaled, whatever its metrics are: $reason', ({ reason, isFault }) => {
    const decision = judge(ENDED(reason, 'Job 7 is no more'));

    const message = 'FlinkApplication orders is not scaled, since its job does not run: Job 7 is no more';
    expect(decision).toMatchObject({ rescale: false, desiredReplicas: 5, reason: 'JobNotRunning', message });
    expect(decision.error).toBe(isFault ? message : undefined);
    expect(decision.events).toEqual(isFault ? [{ type: 'Warning', reason: 'JobNotRunning', message }] : []);
    expect(decision.status.conditions).toContainEqual(
      expect.objectContaining({ type: 'ScalingActive', status: 'False', reason: 'JobNotRunning', message }),
    );
    expect(decision.status.lastDecision).toMatchObject({ reason: 'JobNotRunning', desiredReplicas: 5 });
  });

  it('is not brought within bounds', () => {
    const spec = anAutoscalerSpec({ minReplicas: 7, maxReplicas: 9 });

    expect(judge(ENDED('JobFinished', ''), { spec })).toMatchObject({ rescale: false, desiredReplicas: 5 });
  });

  it('keeps what was recommended and scaled, so that it goes on where it was', () => {
    const recommendations = [{ replicas: 5, from: seconds(-60) }];
    const scaleEvents = [{ change: 1, time: seconds(-30) }];

    const { status } = judge(ENDED('JobFinished', ''), { status: aStatus({ recommendations, scaleEvents }) });

    expect(status.recommendations).toMatchObject([{ replicas: 5, from: seconds(-60) }]);
    expect(status.scaleEvents).toEqual(scaleEvents);
  });

  it('is no target whose deploy is in progress: its job is stopped for a moment', () => {
    const input = asked([VALID, DEPLOYED, ENDED('JobCanceled', '')]);

    expect(decide({ ...input, observation: { ...input.observation, phase: 'SubmittingJob' } }).reason).toBe(
      'DeploymentInProgress',
    );
  });

  it.each([
    ['a job that restarts', ENDED('JobNotRunning', 'Job 7 is RESTARTING')],
    ['a JobManager that does not respond', { ...ENDED('JobManagerUnreachable', ''), status: 'Unknown' as const }],
  ])('is not %s', (_, condition) => {
    expect(judge(condition).reason).not.toBe('JobNotRunning');
  });

  it('has not failed to deploy a size that is recorded', () => {
    const recorded: TargetCondition = { ...FAILED, reason: 'SizeRecorded' };

    expect(decide(asked([VALID, recorded, ENDED('JobFinished', '')]))).not.toHaveProperty('blocker');
  });
});
