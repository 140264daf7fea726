import { join } from 'node:path';
import { buildGoProgram, moduleFolder, readKubernetesVersion } from './go-build.ts';

/**
 * Returns the path of the control plane's binary, and builds it first when this machine has none made of the same sources.
 * Throws when Go is missing or the build fails, with the end of what Go said.
 */
export async function buildControlPlane(say: (line: string) => void): Promise<string> {
  const program = {
    name: 'control-plane',
    title: 'etcd and the Kubernetes control plane',
    patience: '10–13 minutes on two cores',
    folder: moduleFolder,
    sources: ['go.mod', 'go.sum', 'main.go'].map((file) => join(moduleFolder, file)),
    binary: 'kube',
    flags: ['-trimpath', '-buildvcs=false', '-ldflags', linkFlags(await readKubernetesVersion())],
  };
  return await buildGoProgram(program, say);
}

/** What `/version` answers is decided at link time; without these flags it is no version at all, and clients refuse it. */
function linkFlags(version: string): string {
  const [major, minor] = version.split('.');
  const stamps = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((place) => [
    `-X ${place}.gitVersion=v${version}`,
    `-X ${place}.gitMajor=${major}`,
    `-X ${place}.gitMinor=${minor}`,
  ]);
  return ['-s', '-w', ...stamps].join(' ');
}
