// The contract against a real kube-apiserver.
import { type ContractCluster, describeKubernetesContract } from '../contract/kubernetes.contract.ts';
import { clusterName } from './bench/control-plane.ts';
import { eksCredentials } from './bench/eks-authenticator.ts';
import { startMetricsApi } from './bench/metrics-api.ts';
import { sharedControlPlane } from './bench/shared-control-plane.ts';

describeKubernetesContract('kube-apiserver', connectBench);

async function connectBench(): Promise<ContractCluster> {
  const controlPlane = await sharedControlPlane();
  const groups = ['metrics.k8s.io', 'custom.metrics.k8s.io', 'external.metrics.k8s.io'] as const;
  const metricsApi = await startMetricsApi(controlPlane, { groups });
  const { values } = metricsApi;
  return {
    kubeconfig: controlPlane.adminKubeconfig,
    eksIdentity: { cluster: clusterName, region: 'eu-west-1', credentials: eksCredentials },
    admin: controlPlane.admin,
    setPodUsage: ({ namespace, pod, cpuMilli, time }) =>
      values.setPodUsage({ namespace, pod }, { cpu: `${cpuMilli}m`, timestamp: time, windowSeconds: 15 }),
    setPodMetric: ({ namespace, metric, pod, time, ...value }) =>
      values.setPodMetric(metric, { namespace, pod }, { ...value, timestamp: time }),
    setObjectMetric: ({ namespace, metric, resource, name, time, ...value }) => {
      const target = { namespace, resource, name, apiVersion: 'v1', kind: 'Any' };
      values.setObjectMetric(metric, target, { ...value, timestamp: time });
    },
    setExternalMetric: ({ namespace, metric, series }) =>
      values.setExternalMetric(
        metric,
        namespace,
        series.map(({ time, ...value }) => ({ ...value, timestamp: time })),
      ),
    serveCustomMetrics: (version) => metricsApi.register('custom.metrics.k8s.io', version),
    compact: async () => {
      await controlPlane.compact();
      for (const group of groups) await metricsApi.register(group);
    },
    close: () => metricsApi.close(),
  };
}
