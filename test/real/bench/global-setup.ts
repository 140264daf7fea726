// Starts the one control plane that all files of a run share; vitest calls it before the first and after the last.
import { resolve } from 'node:path';
import type { TestProject } from 'vitest/node';
import { startControlPlane } from './control-plane.ts';

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const {
    HEADRACE_REAL_BINARY: binary,
    HEADRACE_REAL_FLINK: flinkFolder,
    HEADRACE_REAL_DIRECTORY: directory,
  } = process.env;
  if (!binary || !flinkFolder || !directory)
    throw new Error('these tests need namespaces of their own: start them with `npm run test:real`');

  const startTime = performance.now();
  const controlPlane = await startControlPlane({ binary, directory, manifests: [resolve('infra/kubernetes')] });
  console.log(`control plane up in ${((performance.now() - startTime) / 1000).toFixed(1)} s`);
  project.provide('controlPlaneDirectory', directory);
  project.provide('flinkFolder', flinkFolder);
  return () => controlPlane.close();
}
