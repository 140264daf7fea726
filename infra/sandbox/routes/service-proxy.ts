// The API server's proxy to Services: a request goes on to a pod behind the Service, and the pod's answer comes back as it is.
import { endpointsOf } from '../endpoints.ts';
import { type Answer, type SandboxRequest, textAnswer } from '../exchange.ts';
import { type Fields, type KubernetesObject, kindNamed, valueAt } from '../kinds.ts';
import { notFound, serviceUnavailable } from '../statuses.ts';
import type { Store } from '../store.ts';

/** Answers for what listens at a port of a pod; undefined where nothing does. */
export type Backend = (pod: KubernetesObject, port: number, request: SandboxRequest) => Answer | undefined;

const proxyPath = /^\/api\/v1\/namespaces\/([^/]+)\/services\/([^/]+)\/proxy(\/.*)?$/;
/** "orders", "orders:8081", "http:orders:ui" */
const serviceName = /^(?:https?:)?([^:]+)(?::([^:]*))?$/;

/** Answers a request to a Service. Undefined for every other path. */
export function answerProxied(store: Store, backend: Backend, request: SandboxRequest): Answer | undefined {
  const [, namespace, id, path = '/'] = proxyPath.exec(request.path) ?? [];
  if (namespace === undefined || id === undefined) return undefined;
  const [, name = '', port = ''] = serviceName.exec(decodeURIComponent(id)) ?? [];
  const service = store.get('Service', namespace, name);
  if (!service) throw notFound(kindNamed('Service'), name);
  const targetPort = targetPortOf(service, port);
  const [pod] = endpointsOf(store, service);
  if (!pod || targetPort === undefined)
    throw serviceUnavailable(`no endpoints available for service "${pod ? id : name}"`);
  const podPort = portOf(pod, targetPort);
  const answer = backend(pod, podPort, { ...request, path });
  if (answer) return answer;
  const address = `${valueAt(pod, ['status', 'podIP'])}:${podPort}`;
  return textAnswer(503, `error trying to reach service: dial tcp ${address}: connect: connection refused`);
}

/** A port by number must be declared; by name it is looked for among the endpoints, which then have none. */
function targetPortOf({ metadata: { name }, spec }: KubernetesObject, port: string): number | string | undefined {
  const ports = (spec?.ports ?? []) as readonly ServicePort[];
  const isNumber = /^\d+$/.test(port);
  const declared = ports.find((candidate) =>
    isNumber ? candidate.port === Number(port) : (candidate.name ?? '') === port,
  );
  if (!declared && isNumber) throw serviceUnavailable(`no service port ${port} found for service "${name}"`);
  return declared && (declared.targetPort ?? declared.port);
}

interface ServicePort {
  readonly name?: string;
  readonly port: number;
  readonly targetPort?: number | string;
}

function portOf(pod: KubernetesObject, target: number | string): number {
  if (typeof target === 'number') return target;
  const containers = (pod.spec?.containers ?? []) as readonly { ports?: readonly Fields[] }[];
  const named = containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === target);
  return Number(named?.containerPort ?? 0);
}
