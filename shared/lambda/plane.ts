import { readConfig } from '../config.ts';
import { type ControlPlane, createControlPlane } from '../control-plane.ts';
import { createLambdaLog } from './log.ts';

let plane: ControlPlane | undefined;

/**
 * The parts of this function, made on its first invocation and kept while the environment lives.
 *
 * @throws ConfigError naming every fault of the environment
 */
export function controlPlane(): ControlPlane {
  plane ??= createControlPlane(readConfig(process.env), createLambdaLog());
  return plane;
}
