import { inject } from 'vitest';
import { type ControlPlane, connectControlPlane } from './control-plane.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    controlPlaneDirectory: string;
  }
}

/** The control plane of this run, for a test file. */
export function sharedControlPlane(): Promise<ControlPlane> {
  return connectControlPlane(inject('controlPlaneDirectory'));
}
