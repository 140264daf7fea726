// What an API server adds to Deployments and Services that it stores, and what it refuses of them and of ControllerRevisions. Only
// what a client can stumble over: fields that it finds and did not write, and mistakes that a laxer server would let pass.
import { isDeepStrictEqual } from 'node:util';
import { type Fields, type Kind, type KubernetesObject, valueAt } from './kinds.ts';
import { invalid } from './statuses.ts';

/** The object as it is stored; `before` is undefined for a new one. Throws a Refusal where the object cannot be. */
export function admit(kind: Kind, object: KubernetesObject, before: KubernetesObject | undefined): KubernetesObject {
  checkLabels(kind, object);
  if (kind.kind === 'Deployment') return admitDeployment(kind, object, before);
  if (kind.kind === 'Service') return admitService(kind, object, before);
  if (kind.kind === 'ControllerRevision') checkRevision(kind, object, before);
  return object;
}

function admitDeployment(kind: Kind, object: KubernetesObject, before: KubernetesObject | undefined) {
  const selector = valueAt(object, ['spec', 'selector', 'matchLabels']) as Fields | undefined;
  const { name } = object.metadata;
  if (!selector) throw invalid(kind, name, 'spec.selector', 'Required value');
  const labels = (valueAt(object, ['spec', 'template', 'metadata', 'labels']) ?? {}) as Fields;
  if (Object.entries(selector).some(([key, value]) => labels[key] !== value))
    throw invalid(
      kind,
      name,
      'spec.template.metadata.labels',
      `Invalid value: ${JSON.stringify(labels)}: \`selector\` does not match template \`labels\``,
    );
  if (before && !isDeepStrictEqual(before.spec?.selector, object.spec?.selector))
    throw invalid(
      kind,
      name,
      'spec.selector',
      `Invalid value: ${JSON.stringify(object.spec?.selector)}: field is immutable`,
    );
  const { template, ...spec } = object.spec as Fields & { template: { spec?: Fields } };
  const defaults = { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600, strategy: rollingUpdate };
  return {
    ...object,
    spec: { ...defaults, ...spec, template: { ...template, spec: podDefaults(template.spec ?? {}) } },
  };
}

const rollingUpdate = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '25%', maxSurge: '25%' } };

function podDefaults(spec: Fields): Fields {
  const containers = (spec.containers ?? []) as readonly Fields[];
  return {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: 30,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
    ...spec,
    containers: containers.map((container) => ({
      resources: {},
      terminationMessagePath: '/dev/termination-log',
      terminationMessagePolicy: 'File',
      imagePullPolicy: /:(?!latest)[^/]+$/.test(String(container.image)) ? 'IfNotPresent' : 'Always',
      ...container,
      ...(container.ports !== undefined && { ports: (container.ports as readonly Fields[]).map(withProtocol) }),
    })),
  };
}

function withProtocol(port: Fields): Fields {
  return { protocol: 'TCP', ...port };
}

function admitService(kind: Kind, object: KubernetesObject, before: KubernetesObject | undefined): KubernetesObject {
  const { name } = object.metadata;
  // Of Services alone the name is a DNS label, for it becomes one.
  if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name) || name.length > 63)
    throw invalid(
      kind,
      name,
      'metadata.name',
      `Invalid value: ${JSON.stringify(name)}: a DNS-1035 label must consist of at most 63 lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character`,
    );
  const clusterIP = object.spec?.clusterIP ?? before?.spec?.clusterIP ?? clusterIPOf(object);
  if (before && before.spec?.clusterIP !== clusterIP)
    throw invalid(kind, name, 'spec.clusterIPs[0]', `Invalid value: ["${clusterIP}"]: may not change once set`);
  const ports = ((object.spec?.ports ?? []) as readonly Fields[]).map((port) => ({
    ...withProtocol(port),
    targetPort: port.targetPort ?? port.port,
  }));
  const defaults = { type: 'ClusterIP', sessionAffinity: 'None', internalTrafficPolicy: 'Cluster' };
  return {
    ...object,
    spec: { ...defaults, ...object.spec, clusterIP, clusterIPs: [clusterIP], ports },
    status: object.status ?? { loadBalancer: {} },
  };
}

/** An address of the service network that is always the same for one name. */
function clusterIPOf({ metadata: { namespace, name } }: KubernetesObject): string {
  let sum = 0;
  for (const sign of `${namespace}/${name}`) sum = (sum * 31 + sign.charCodeAt(0)) % 65_521;
  return `172.20.${sum >> 8}.${sum & 255}`;
}

function checkRevision(kind: Kind, object: KubernetesObject, before: KubernetesObject | undefined): void {
  const { name } = object.metadata;
  if (object.data === undefined) throw invalid(kind, name, 'data', 'Required value: data is mandatory');
  if (before && !isDeepStrictEqual(before.data, object.data))
    throw invalid(kind, name, 'data', 'Invalid value: field is immutable');
}

function checkLabels(kind: Kind, { metadata: { name, labels = {} } }: KubernetesObject): void {
  for (const value of Object.values(labels)) {
    if (/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(value) && value.length <= 63) continue;
    const fault = `Invalid value: ${JSON.stringify(value)}: a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', must start and end with an alphanumeric character, and be no more than 63 characters`;
    throw invalid(kind, name, 'metadata.labels', fault);
  }
}
