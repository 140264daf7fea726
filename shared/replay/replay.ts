// One snapshot after the other. With `carry` each autoscaler goes on from what the snapshot before it left.

import { judgeSnapshot, type ReplayAnswer } from './judge.ts';
import { type Fault, InvalidSnapshotError } from './snapshot.ts';

/** A snapshot that could not be judged, and why. */
export interface Unjudged {
  readonly name: string;
  readonly invalid: readonly Fault[];
}

export interface ReplayOptions {
  /** Whether the status of a snapshot's autoscaler is the one that its previous snapshot produced, where there was one. */
  readonly carry?: boolean;
}

/** @returns what judges the snapshots of one input, in their order */
export function createReplay({ carry = false }: ReplayOptions = {}): (value: unknown) => ReplayAnswer | Unjudged {
  const statuses = new Map<string, object>();
  return (value) => {
    const key = carry ? identify(value) : undefined;
    const status = key === undefined ? undefined : statuses.get(key);
    try {
      const answer = judgeSnapshot(status === undefined ? value : withStatus(value as WireSnapshot, status));
      if (key !== undefined) statuses.set(key, answer.status);
      return answer;
    } catch (error) {
      if (!(error instanceof InvalidSnapshotError)) throw error;
      return { name: nameOf(value), invalid: error.faults };
    }
  };
}

interface WireSnapshot {
  readonly autoscaler: { readonly kind?: unknown; readonly metadata: { namespace?: unknown; name?: unknown } };
}

/** Tells one autoscaler from another; undefined for what is none. */
function identify(value: unknown): string | undefined {
  const { kind, metadata } = (value as Partial<WireSnapshot> | null)?.autoscaler ?? {};
  if (metadata === undefined || metadata === null) return undefined;
  return JSON.stringify([kind, metadata.namespace ?? '', metadata.name]);
}

function withStatus(snapshot: WireSnapshot, status: object): object {
  return { ...snapshot, autoscaler: { ...snapshot.autoscaler, status } };
}

function nameOf(value: unknown): string {
  const name = (value as { name?: unknown } | null)?.name;
  return typeof name === 'string' ? name : '';
}
