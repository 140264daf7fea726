// The resource paths of an API server: which object, which verb, which subresource.
import { gzipSync } from 'node:zlib';
import { type Answer, jsonAnswer, type SandboxRequest } from '../exchange.ts';
import { apiVersionOf, type Kind, type KubernetesObject, kinds } from '../kinds.ts';
import { type LabelSelector, parseLabelSelector } from '../label-selector.ts';
import { encodePodList, protobufType } from '../protobuf.ts';
import { badRequest, continueExpired, methodNotAllowed, noSuchResource, notFound, pageNotFound } from '../statuses.ts';
import type { Entry, Page, Store, View } from '../store.ts';
import { deleteObject } from './deletion.ts';
import { createObject, replaceObject } from './kubernetes-writes.ts';
import { patchScale, readScale } from './scale.ts';

const resourcePath =
  /^\/(?:api\/(?<coreVersion>[^/]+)|apis\/(?<group>[^/]+)\/(?<version>[^/]+))(?:\/namespaces\/(?<namespace>[^/]+))?\/(?<plural>[^/]+)(?:\/(?<name>[^/]+))?(?:\/(?<subresource>[^/]+))?$/;

/** What a path names. An absent namespace means all of them, an absent name the collection. */
export interface Target {
  readonly kind: Kind;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly subresource: string | undefined;
}

/** Answers a request for a resource; throws a Refusal as an API server would refuse. */
export function answerResource(store: Store, request: SandboxRequest): Answer {
  const target = targetOf(request.path);
  refuseWhatIsNotImitated(request.query);
  if (target.name === undefined) return answerCollection(store, target, request);
  const { kind, name, namespace = '' } = target;
  if (kind.isNamespaced && target.namespace === undefined) throw noSuchResource();
  const object = store.get(kind.kind, namespace, name);
  const isKnown = isKnownSubresource(target);
  // The API server treats a custom resource without the subresource asked for as an object that is not there.
  if (!isKnown && !kind.isCustom) throw noSuchResource();
  if (!object && kind.isMadeByPut && request.method === 'PUT' && isKnown) return createObject(store, target, request);
  if (!object || !isKnown) throw notFound(kind, name);
  return answerObject(store, target, object, request);
}

function targetOf(path: string): Target {
  const groups = resourcePath.exec(path)?.groups;
  if (!groups) throw pageNotFound();
  const { coreVersion, group = '', version = coreVersion, namespace, plural, name, subresource } = groups;
  const inGroup = kinds.filter((kind) => kind.group === group && kind.version === version);
  const kind = inGroup.find((candidate) => candidate.plural === plural);
  if (!kind) throw inGroup.some((known) => !known.isCustom) ? noSuchResource() : pageNotFound();
  const decode = (part: string | undefined) => (part === undefined ? undefined : decodeURIComponent(part));
  return { kind, namespace: decode(namespace), name: decode(name), subresource };
}

/** A silent difference would be worse than none of the feature: these change what a request means. */
function refuseWhatIsNotImitated(query: URLSearchParams): void {
  for (const parameter of ['watch', 'dryRun', 'fieldSelector'])
    if (query.get(parameter)) throw badRequest(`the sandbox does not imitate the parameter ${parameter}`);
}

function isKnownSubresource({ kind, subresource }: Target): boolean {
  if (subresource === 'scale') return kind.scale !== undefined;
  return subresource === undefined || (subresource === 'status' && kind.hasStatus);
}

function answerCollection(store: Store, target: Target, request: SandboxRequest): Answer {
  const isWritable = !target.kind.isReadOnly && (target.namespace !== undefined || !target.kind.isNamespaced);
  if (request.method === 'GET') return listObjects(store, target, request);
  if (request.method === 'POST' && isWritable) return createObject(store, target, request);
  throw methodNotAllowed();
}

function answerObject(store: Store, target: Target, object: KubernetesObject, request: SandboxRequest): Answer {
  const isScale = target.subresource === 'scale';
  if (request.method === 'GET') return jsonAnswer(200, isScale ? readScale(target.kind, object) : object);
  if (target.kind.isReadOnly) throw methodNotAllowed();
  switch (request.method) {
    case 'PATCH':
    case 'PUT':
      return isScale ? patchScale(store, target.kind, object, request) : replaceObject(store, target, object, request);
    case 'DELETE':
      if (target.subresource === undefined) return deleteObject(store, target.kind, object, request);
      throw methodNotAllowed();
    default:
      throw methodNotAllowed();
  }
}

function listObjects(store: Store, { kind, namespace }: Target, { query, headers }: SandboxRequest): Answer {
  const selector = query.get('labelSelector') ?? '';
  const matches = parseLabelSelector(selector);
  if (!matches) throw badRequest(`unable to parse requirement: found '${selector}', expected: a label selector`);
  // metrics-server knows no pages and no versions: it answers everything at once.
  const isPaged = kind.kind !== 'PodMetrics';
  const limit = isPaged ? Number(query.get('limit') ?? 0) : 0;
  const { view, after } = isPaged
    ? viewToRead(store, kind, query.get('continue'))
    : { view: store.view(kind), after: '' };

  const isProtobuf = kind.kind === 'Pod' && String(headers.accept).includes(protobufType);
  const pageName = JSON.stringify([namespace, selector, limit, after, isProtobuf]);
  const page =
    view.pages.get(pageName) ?? makePage({ kind, view, namespace, selector, matches, limit, after, isProtobuf });
  view.pages.set(pageName, page);
  return {
    status: 200,
    headers: { 'content-type': isProtobuf ? protobufType : 'application/json' },
    body: page.body,
    packed: () => {
      page.packed ??= gzipSync(page.body, { level: 1 });
      return page.packed;
    },
  };
}

/** The view a list reads and the key after which it goes on: the newest, or the one of the continue token. */
function viewToRead(store: Store, kind: Kind, token: string | null): { view: View; after: string } {
  if (!token) return { view: store.view(kind), after: '' };
  const { version, after } = readContinueToken(token);
  // A token of version -1 is one handed out with a 410: it reads on in what there is now.
  const view = version === -1 ? store.view(kind) : store.pastView(kind, version);
  if (!view) throw continueExpired(continueToken(-1, after));
  return { view, after };
}

interface PageQuestion {
  readonly kind: Kind;
  readonly view: View;
  readonly namespace: string | undefined;
  readonly selector: string;
  readonly matches: LabelSelector;
  readonly limit: number;
  readonly after: string;
  readonly isProtobuf: boolean;
}

function makePage({ kind, view, namespace, selector, matches, limit, after, isProtobuf }: PageQuestion): Page {
  const remaining = view.entries.filter(
    ({ key, object }) =>
      key > after &&
      (namespace === undefined || object.metadata.namespace === namespace) &&
      matches(object.metadata.labels ?? {}),
  );
  const items = limit > 0 ? remaining.slice(0, limit) : remaining;
  const metadata = listMetadata({ view, items, left: remaining.length - items.length, isSelected: selector !== '' });
  if (isProtobuf)
    return {
      body: encodePodList(
        metadata,
        items.map(({ object }) => object),
      ),
    };
  const head = JSON.stringify({
    kind: `${kind.kind}List`,
    apiVersion: apiVersionOf(kind),
    metadata: kind.kind === 'PodMetrics' ? {} : metadata,
  });
  return { body: Buffer.from(`${head.slice(0, -1)},"items":[${items.map((entry) => entry.itemText).join(',')}]}\n`) };
}

interface PageEnd {
  readonly view: View;
  readonly items: readonly Entry[];
  readonly left: number;
  readonly isSelected: boolean;
}

function listMetadata({ view, items, left, isSelected }: PageEnd): object {
  const resourceVersion = String(view.version);
  if (left === 0) return { resourceVersion };
  const token = continueToken(view.version, items.at(-1)?.key ?? '');
  // With a selector an API server does not know how many are left without reading them all.
  return { resourceVersion, continue: token, ...(!isSelected && { remainingItemCount: left }) };
}

function continueToken(version: number, after: string): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: version, start: `${after}\u0000` })).toString(
    'base64url',
  );
}

function readContinueToken(token: string): { version: number; after: string } {
  try {
    const { rv, start } = JSON.parse(Buffer.from(token, 'base64url').toString());
    return { version: Number(rv), after: start.slice(0, -1) };
  } catch (error) {
    throw badRequest(`invalid continue token: continue key is not valid: ${(error as Error).message}`);
  }
}
