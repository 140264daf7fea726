// What would become of an application that another operator deploys, were that operator switched off now. PURE.

import type { Reading } from '../scaling/types.ts';
import { isForeign } from './foreign-status.ts';
import type { Scene } from './scene.ts';
import { type Adoption, latestWriter, planAdoption } from './take-over.ts';
import type { StatusWriter } from './types.ts';

/** What a rehearsal of a take-over needs of an application: no revisions, and no JobManagers. */
export interface RehearsalInput {
  readonly scene: Scene;
  /** Of the application's namespace, or of more. */
  readonly podAutoscalers: Reading<readonly PodAutoscaler[]>;
}

/** A HorizontalPodAutoscaler. */
export interface PodAutoscaler {
  readonly namespace: string;
  readonly name: string;
  readonly target: { readonly kind: string; readonly name: string };
}

export type RehearsalOutcome =
  /** It is adopted as it runs. */
  | 'Adopted'
  /** Headrace deploys it already. */
  | 'Owned'
  /** Nothing has been deployed yet: Headrace deploys the spec. */
  | 'Deployed'
  /** The user has asked for a deploy of the spec, with the annotation. */
  | 'Redeployed'
  /** Why Headrace would wait for the user, or why the other operator has something to finish first. */
  | 'HashMismatch'
  | 'ClusterMissing'
  | 'DeployInProgress'
  | 'InvalidSpec'
  | 'Deleting';

export interface Rehearsal {
  readonly outcome: RehearsalOutcome;
  /** Nothing has to be done before the other operator is switched off. */
  readonly isReady: boolean;
  /** What would happen and, where something has to be done first, what. */
  readonly message: string;
  /** What stands in the way beside that. */
  readonly blockers: readonly RehearsalBlocker[];
  /** Who wrote to the status last, Headrace left out. */
  readonly writer?: StatusWriter;
}

export interface RehearsalBlocker {
  readonly kind: 'HorizontalPodAutoscaler';
  /** Absent where it is not known whether there is one. */
  readonly name?: string;
  readonly message: string;
}

/** Says what a take-over of one application would come to. */
export function rehearseTakeOver({ scene, podAutoscalers }: RehearsalInput): Rehearsal {
  const writer = latestWriter(scene.application);
  const { isReady, ...verdict } = judge(scene);
  // An HPA of an application that is Headrace's already is nothing that a take-over has to wait for.
  const blockers = verdict.outcome === 'Owned' ? [] : findBlockers(scene, podAutoscalers);
  return { ...verdict, isReady: isReady && blockers.length === 0, blockers, ...(writer && { writer }) };
}

type Verdict = Pick<Rehearsal, 'outcome' | 'isReady' | 'message'>;

function judge(scene: Scene): Verdict {
  const { application, status } = scene;
  if (application.isDeleting) return waits('Deleting', 'it is being deleted: let the other operator end that first');
  const isDeployed = Boolean(status.phase || status.deployHash);
  if (isDeployed && !isForeign(application)) return ready('Owned', 'Headrace deploys it already');
  const adoption = planAdoption(scene);
  if ('reason' in adoption) return waits(adoption.reason, adoption.message);
  switch (adoption.kind) {
    case 'AtRest':
      return ready('Adopted', `cluster ${adoption.cluster.hash} is adopted as it runs`);
    case 'DualRunning':
      return ready(
        'Adopted',
        `versions ${status.deployHash} and ${adoption.cluster.hash} are adopted as they run, until spec.tearDownVersionHash names one of them`,
      );
    case 'Midway':
      return underWay(scene, `it would be continued on cluster ${adoption.cluster.hash}`);
    case 'Deploy':
      return judgeDeploy(scene, adoption);
    default:
      throw adoption satisfies never;
  }
}

function judgeDeploy(scene: Scene, { isAskedFor }: Extract<Adoption, { kind: 'Deploy' }>): Verdict {
  if (isAskedFor) return ready('Redeployed', 'its annotation asks for it: the spec is deployed on a new cluster');
  if (!scene.status.phase) return ready('Deployed', 'nothing has been deployed yet: Headrace deploys the spec');
  return underWay(scene, 'the spec would be deployed on another new cluster');
}

function underWay({ status }: Scene, otherwise: string): Verdict {
  return waits(
    'DeployInProgress',
    `a deploy is in phase ${status.phase}: let the other operator end it first. Were it switched off now, ${otherwise}`,
  );
}

function ready(outcome: RehearsalOutcome, message: string): Verdict {
  return { outcome, isReady: true, message };
}

function waits(outcome: RehearsalOutcome, message: string): Verdict {
  return { outcome, isReady: false, message };
}

function findBlockers(
  { application, observation }: Scene,
  podAutoscalers: RehearsalInput['podAutoscalers'],
): readonly RehearsalBlocker[] {
  const kind = 'HorizontalPodAutoscaler' as const;
  if ('unreadable' in podAutoscalers)
    return [{ kind, message: `whether an HPA scales it is not known: ${podAutoscalers.unreadable}` }];
  const parts = [...observation.clusters.values()].flatMap(({ jobManager, taskManager }) =>
    [jobManager, taskManager].flatMap((deployment) => deployment?.name ?? []),
  );
  return podAutoscalers.value
    .filter(({ namespace }) => namespace === application.namespace)
    .flatMap(({ name, target }) => {
      if (target.kind === 'FlinkApplication' && target.name === application.name)
        return [{ kind, name, message: `HPA ${name} scales it: ${SCALES_APPLICATION}` }];
      if (target.kind === 'Deployment' && parts.includes(target.name))
        return [{ kind, name, message: `HPA ${name} scales ${target.name}: ${SCALES_DEPLOYMENT}` }];
      return [];
    });
}

const SCALES_APPLICATION =
  'delete it before the other operator is switched off, and apply it again when the application is adopted, with bounds that count TaskManagers';
const SCALES_DEPLOYMENT =
  'delete it before the other operator is switched off. Headrace undoes what it does; let it scale the FlinkApplication when that is adopted';
