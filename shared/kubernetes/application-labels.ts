// The labels by which an object says to which application and cluster it belongs; Lyft's operator uses the same.

import type { Colour } from '../deployment/types.ts';
import type { Labels } from './selectors.ts';

export interface Belonging {
  readonly application: string;
  /** Of its cluster; absent on what belongs to no single one. */
  readonly hash?: string;
  /** BlueGreen only. */
  readonly version?: Colour;
}

/** @returns undefined for the labels of something that is no part of an application */
export function belongingOf(labels: Labels): Belonging | undefined {
  const application = labels['flink-app'];
  if (!application) return undefined;
  const hash = labels['flink-app-hash'];
  const version = labels['flink-application-version'];
  return {
    application,
    ...(hash && { hash }),
    ...((version === 'blue' || version === 'green') && { version }),
  };
}

/** Selects what is part of any application. */
export const ANY_APPLICATION = 'flink-app';

/** Selects what is part of one. */
export function partsOf(application: string): string {
  return `flink-app=${application}`;
}

/** The label with which a Deployment's pods, and no others, are selected. */
export const POD_SELECTOR = 'pod-deployment-selector';
