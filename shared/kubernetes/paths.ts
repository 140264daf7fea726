// Where objects live. A namespace of undefined means every namespace.

export interface ResourceType {
  /** "flink.k8s.io/v1beta1"; "v1" for the core group. */
  readonly apiVersion: string;
  readonly plural: string;
}

export const FLINK_AUTOSCALERS: ResourceType = { apiVersion: 'headrace.dev/v1alpha1', plural: 'flinkautoscalers' };
export const FLINK_APPLICATIONS: ResourceType = { apiVersion: 'flink.k8s.io/v1beta1', plural: 'flinkapplications' };
export const HORIZONTAL_POD_AUTOSCALERS: ResourceType = {
  apiVersion: 'autoscaling/v2',
  plural: 'horizontalpodautoscalers',
};
export const PODS: ResourceType = { apiVersion: 'v1', plural: 'pods' };
export const POD_METRICS: ResourceType = { apiVersion: 'metrics.k8s.io/v1beta1', plural: 'pods' };
export const EVENTS: ResourceType = { apiVersion: 'v1', plural: 'events' };
export const DEPLOYMENTS: ResourceType = { apiVersion: 'apps/v1', plural: 'deployments' };
export const CONTROLLER_REVISIONS: ResourceType = { apiVersion: 'apps/v1', plural: 'controllerrevisions' };
export const SERVICES: ResourceType = { apiVersion: 'v1', plural: 'services' };
export const CONFIG_MAPS: ResourceType = { apiVersion: 'v1', plural: 'configmaps' };
export const LEASES: ResourceType = { apiVersion: 'coordination.k8s.io/v1', plural: 'leases' };

/** "/apis/flink.k8s.io/v1beta1" */
export function groupPath(apiVersion: string): string {
  return apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
}

/** "/apis/flink.k8s.io/v1beta1/namespaces/flink/flinkapplications" */
export function collectionPath({ apiVersion, plural }: ResourceType, namespace?: string): string {
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  return `${groupPath(apiVersion)}${scope}/${plural}`;
}

export interface ObjectAddress {
  readonly namespace: string;
  readonly name: string;
}

/** "…/flinkapplications/orders/scale" */
export function objectPath(
  type: ResourceType,
  { namespace, name }: ObjectAddress,
  subresource?: 'status' | 'scale',
): string {
  const path = `${collectionPath(type, namespace)}/${encodeURIComponent(name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** "flink/orders": how an object is named in maps and logs. */
export function keyOf({ namespace, name }: ObjectAddress): string {
  return `${namespace}/${name}`;
}
