// What an API server tells about itself: groups, resources, version.
import { type Answer, jsonAnswer, type SandboxRequest, textAnswer } from '../exchange.ts';
import { apiVersionOf, type Kind, kinds } from '../kinds.ts';

const gitVersion = 'v1.37.2';

/** Answers what needs no credentials: version and readiness. Undefined for every other path. */
export function answerPublic({ path }: SandboxRequest): Answer | undefined {
  if (path === '/version') return jsonAnswer(200, { major: '1', minor: '37', gitVersion, platform: 'linux/amd64' });
  if (['/readyz', '/livez', '/healthz'].includes(path)) return textAnswer(200, 'ok');
  return undefined;
}

/** A group without objects, whose values stand at paths of their own. */
interface ValueGroup {
  readonly name: string;
  readonly versions: readonly string[];
}

/** Answers the paths that list groups, versions and resources, those of `valueGroups` too. Undefined for every other path. */
export function answerDiscovery(request: SandboxRequest, valueGroups: readonly ValueGroup[]): Answer | undefined {
  // These, and no other paths, mean the same with a slash at their end.
  const path = request.path.replace(/\/$/, '');
  const groups = [...kindGroups(), ...valueGroups].map(describeGroup);
  if (path === '/api') return jsonAnswer(200, { kind: 'APIVersions', versions: ['v1'] });
  if (path === '/apis') return jsonAnswer(200, { kind: 'APIGroupList', apiVersion: 'v1', groups });
  const [, group = '', version] = /^\/(?:apis\/([^/]+)|api)(?:\/([^/]+))?$/.exec(path) ?? [];
  if (group && !version) {
    const found = groups.find(({ name }) => name === group);
    return found && jsonAnswer(200, { kind: 'APIGroup', apiVersion: 'v1', ...found });
  }
  const ofVersion = kinds.filter((kind) => kind.group === group && kind.version === version);
  const hasValues = valueGroups.some(({ name, versions }) => name === group && versions.includes(version ?? ''));
  if (ofVersion.length === 0 && !hasValues) return undefined;
  const groupVersion = apiVersionOf({ group, version: version ?? '' });
  const resources = ofVersion.flatMap(resourcesOf);
  return jsonAnswer(200, { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources });
}

function kindGroups(): ValueGroup[] {
  return kinds
    .filter((kind, index) => kind.group && kinds.findIndex(({ group }) => group === kind.group) === index)
    .map(({ group, version }) => ({ name: group, versions: [version] }));
}

function describeGroup({ name, versions }: ValueGroup) {
  const described = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: described, preferredVersion: described[0] };
}

function resourcesOf(kind: Kind): object[] {
  const named = { namespaced: kind.isNamespaced, kind: kind.kind };
  const verbs = kind.isReadOnly ? ['get', 'list'] : ['create', 'delete', 'get', 'list', 'patch', 'update'];
  const part = ['get', 'patch', 'update'];
  return [
    {
      name: kind.plural,
      singularName: kind.singular,
      ...named,
      verbs,
      ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
    },
    ...(kind.hasStatus ? [{ name: `${kind.plural}/status`, singularName: '', ...named, verbs: part }] : []),
    ...(kind.scale
      ? [
          {
            name: `${kind.plural}/scale`,
            singularName: '',
            namespaced: kind.isNamespaced,
            group: 'autoscaling',
            version: 'v1',
            kind: 'Scale',
            verbs: part,
          },
        ]
      : []),
  ];
}
