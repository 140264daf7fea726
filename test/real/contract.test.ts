// The contract against a real kube-apiserver.
import { type ContractCluster, describeKubernetesContract } from '../contract/kubernetes.contract.ts';
import { clusterName } from './bench/control-plane.ts';
import { eksCredentials } from './bench/eks-authenticator.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';

describeKubernetesContract('kube-apiserver', connectBench);

async function connectBench(): Promise<ContractCluster> {
  const controlPlane = await sharedControlPlane();
  const metricsApi = await startMetricsApi(controlPlane);
  return {
    kubeconfig: controlPlane.adminKubeconfig,
    eksIdentity: { cluster: clusterName, region: 'eu-west-1', credentials: eksCredentials },
    admin: controlPlane.admin,
    setPodUsage: ({ namespace, pod, cpuMilli, time }) =>
      metricsApi.values.setPodUsage({ namespace, pod }, { cpu: `${cpuMilli}m`, timestamp: time, windowSeconds: 15 }),
    compact: async () => {
      await controlPlane.compact();
      await metricsApi.register('metrics.k8s.io');
    },
    close: () => metricsApi.close(),
  };
}
