import { describe, expect, it } from 'vitest';
import { askFor, hashOfSubmission, needsRevisions, needsTroubles } from '../../../shared/deployment/questions.ts';
import { createScene, type Scene } from '../../../shared/deployment/scene.ts';
import type { ApplicationSpec, ApplicationStatus, Cluster } from '../../../shared/deployment/types.ts';
import {
  aCluster,
  anApplication,
  anObservation,
  aRollout,
  aStatus,
  NEW,
  NEW_JOB,
  NEW_REVISION,
  NOW,
  OLD,
  OLD_JOB,
  OLD_REVISION,
  OLD_SPEC,
  ROLLBACK_JOB,
  secondsAgo,
  TRIGGER,
} from '../scenes.ts';

interface Parts {
  readonly spec?: Partial<ApplicationSpec>;
  readonly status?: Partial<ApplicationStatus>;
  readonly clusters?: readonly Cluster[];
}

function aScene({ spec = {}, status = {}, clusters = [aCluster(OLD), aCluster(NEW)] }: Parts = {}): Scene {
  return createScene({
    application: anApplication({ spec, status: aStatus(status) }),
    observation: anObservation({ clusters, revisions: [OLD_REVISION, NEW_REVISION] }),
    now: NOW,
  });
}

const ask = (parts: Parts) => askFor(aScene(parts));
const midway = (phase: string, rollout: Parameters<typeof aRollout>[0] = {}, status: Partial<ApplicationStatus> = {}) =>
  ask({ status: { phase, rollout: aRollout(rollout), ...status } });
const asked = (questions: ReturnType<typeof askFor>, hash: string) => questions.find((each) => each.hash === hash);

it.each`
  type            | status       | asksJobsFirst
  ${'JobRunning'} | ${'Unknown'} | ${true}
  ${'JobRunning'} | ${'False'}   | ${false}
  ${'Deployed'}   | ${'Unknown'} | ${false}
`('waits for a first answer where $type is $status: $asksJobsFirst', ({ type, status, asksJobsFirst }) => {
  const condition = { type, status, reason: 'Any', message: '', lastTransitionTime: secondsAgo(1) };

  expect(ask({ status: { conditions: [condition] } })).toMatchObject([{ asksJobsFirst }]);
});

describe('at rest', () => {
  it('asks the deployed JobManager for its job, and no other', () => {
    const questions = ask({ spec: OLD_SPEC });

    expect(questions).toEqual([
      {
        hash: OLD,
        asksJobsFirst: false,
        of: [
          {
            jobId: OLD_JOB,
            checkpoints: true,
            checkpointConfig: false,
            resourceRequirements: false,
          },
        ],
      },
    ]);
  });

  it.each`
    spec                                         | checkpointConfig | resourceRequirements
    ${{ scaleMode: 'InPlace' }}                  | ${true}          | ${true}
    ${{ restartPolicy: 'FromLatestCheckpoint' }} | ${true}          | ${false}
  `('asks what $spec decides by', ({ spec, checkpointConfig, resourceRequirements }) => {
    expect(asked(ask({ spec: { ...OLD_SPEC, ...spec } }), OLD)?.of[0]).toMatchObject({
      checkpointConfig,
      resourceRequirements,
    });
  });

  it('asks nobody where there is no JobManager', () => {
    expect(ask({ clusters: [] })).toEqual([]);
  });
});

describe('during a deploy', () => {
  it('asks both JobManagers, each for its own job', () => {
    const questions = midway('SubmittingJob', { jobId: NEW_JOB });

    expect(asked(questions, OLD)?.of.map(({ jobId }) => jobId)).toEqual([OLD_JOB]);
    expect(asked(questions, NEW)?.of.map(({ jobId }) => jobId)).toEqual([NEW_JOB]);
  });

  it('still asks for the old job when the status speaks of the new one', () => {
    const questions = midway('SubmittingJob', { jobId: NEW_JOB }, { jobStatus: { jobID: NEW_JOB } });

    expect(asked(questions, OLD)?.of.map(({ jobId }) => jobId)).toEqual([OLD_JOB]);
  });

  it('asks in a rollback for the job that is brought back, too', () => {
    const questions = midway('RollingBackJob', { jobId: NEW_JOB, rollbackJobId: ROLLBACK_JOB });

    expect(asked(questions, OLD)?.of.map(({ jobId }) => jobId)).toEqual([OLD_JOB, ROLLBACK_JOB]);
  });

  it.each`
    phase                | savepoint
    ${'Savepointing'}    | ${TRIGGER}
    ${'Recovering'}      | ${TRIGGER}
    ${'RollingBackJob'}  | ${TRIGGER}
    ${'Deleting'}        | ${TRIGGER}
    ${'ClusterStarting'} | ${undefined}
    ${'SubmittingJob'}   | ${undefined}
  `('asks in $phase for savepoint $savepoint of the old job', ({ phase, savepoint }) => {
    const questions = midway(phase, {}, { savepointTriggerId: TRIGGER });

    expect(asked(questions, OLD)?.of[0]?.savepointTriggerId).toBe(savepoint);
  });

  it.each(['Savepointing', 'Recovering', 'RollingBackJob'])('asks in %s whether checkpoints are kept', (phase) => {
    expect(asked(midway(phase), OLD)?.of[0]?.checkpointConfig).toBe(true);
  });

  it('F21: asks for the savepoint of either job of a BlueGreen application that is deleted', () => {
    const questions = midway('Deleting', { jobId: NEW_JOB }, { savepointTriggerId: TRIGGER });

    expect(asked(questions, OLD)?.of[0]?.savepointTriggerId).toBe(TRIGGER);
    expect(asked(questions, NEW)?.of[0]?.savepointTriggerId).toBe(TRIGGER);
  });
});

describe('the plan', () => {
  const planned = (phase: string, parts: Parameters<typeof aCluster>[1] = {}) =>
    asked(ask({ status: { phase, rollout: aRollout() }, clusters: [aCluster(OLD), aCluster(NEW, parts)] }), NEW)?.plan;

  it('is asked for with the pinned job when every pod is ready', () => {
    expect(planned('ClusterStarting')).toEqual({
      jarName: 'orders.jar',
      entryClass: 'com.example.Orders',
      programArgs: '',
      parallelism: 4,
    });
  });

  it('is not asked for earlier, since it runs main', () => {
    expect(planned('ClusterStarting', { available: 1 })).toBeUndefined();
    expect(planned('ClusterStarting', { jobManagers: 0 })).toBeUndefined();
  });

  it('is asked for in no other phase, and never of the cluster whose job runs', () => {
    for (const phase of ['Savepointing', 'SubmittingJob', 'RollingBackJob', 'Deleting'])
      expect(planned(phase)).toBeUndefined();
    expect(asked(midway('ClusterStarting'), OLD)?.plan).toBeUndefined();
  });
});

describe('what else is read', () => {
  it.each`
    situation                    | parts                                                            | revisions | troubles
    ${'rest'}                    | ${{ spec: OLD_SPEC }}                                            | ${false}  | ${false}
    ${'a change'}                | ${{}}                                                            | ${true}   | ${false}
    ${'a spec with faults'}      | ${{ spec: { parallelism: 0 } }}                                  | ${true}   | ${false}
    ${'a cluster that starts'}   | ${{ status: { phase: 'ClusterStarting', rollout: aRollout() } }} | ${true}   | ${true}
    ${'a rescale'}               | ${{ status: { phase: 'Rescaling', rollout: aRollout() } }}       | ${true}   | ${true}
    ${'a job that is submitted'} | ${{ status: { phase: 'SubmittingJob', rollout: aRollout() } }}   | ${true}   | ${false}
  `('is revisions: $revisions, pods in trouble: $troubles for $situation', ({ parts, revisions, troubles }) => {
    const scene = aScene(parts);

    expect([needsRevisions(scene), needsTroubles(scene)]).toEqual([revisions, troubles]);
  });
});

describe('the process of a JobManager', () => {
  it.each`
    phase                | hash
    ${'ClusterStarting'} | ${undefined}
    ${'Savepointing'}    | ${undefined}
    ${'SubmittingJob'}   | ${NEW}
    ${'RollingBackJob'}  | ${OLD}
  `('is asked for where a job is submitted: $phase → $hash', ({ phase, hash }) => {
    expect(hashOfSubmission(aScene({ status: { phase, rollout: aRollout() } }))).toBe(hash);
  });

  it('is not asked for where others stand in for it', () => {
    const clusters = [aCluster(OLD), aCluster(NEW, { jobManagers: 2 })];

    expect(
      hashOfSubmission(aScene({ status: { phase: 'SubmittingJob', rollout: aRollout() }, clusters })),
    ).toBeUndefined();
  });
});
