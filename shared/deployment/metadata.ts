// Labels and annotations of a FlinkApplication: which its pods bear, and which count as a change. Deployment tools write on whatever
// they apply, many of them at every run: that deploys nothing, and reaches the pods with the next deploy.

type Metadata = Readonly<Record<string, string>>;

// By these a tool finds the objects that it manages, or deletes those that its sources do not have any more (kubectl apply
// --prune, kapp, cli-utils, Config Sync, Fleet, the CDK, Argo CD, Flux 1), or it records the object on which they stand. A copy on a
// Deployment would say of it what is true of the application alone. With subdomains: objectset.rio.cattle.io.
const DOMAINS_OF_THE_OBJECT = [
  'kubectl.kubernetes.io',
  'deployment.kubernetes.io',
  'config.kubernetes.io',
  'config.k8s.io',
  'cli-utils.sigs.k8s.io',
  'argoproj.io',
  'kapp.k14s.io',
  'kpt.dev',
  'configmanagement.gke.io',
  'configsync.gke.io',
  'cattle.io',
  'aws.cdk.eks',
  'flux.weave.works',
  'headrace.dev',
];

// What Helm, Flux, Pulumi, Spinnaker, Skaffold, Azure Pipelines, GitHub, GitLab, kbld, Velero, KubeVela, Cloud Deploy and werf write.
// With subdomains: kustomize.toolkit.fluxcd.io, meta.helm.sh.
const TOOL_DOMAINS = [
  ...DOMAINS_OF_THE_OBJECT,
  'helm.sh',
  'fluxcd.io',
  'pulumi.com',
  'spinnaker.io',
  'skaffold.dev',
  'azure-pipelines',
  'actions.github.com',
  'app.gitlab.com',
  'kbld.k14s.io',
  'velero.io',
  'app.oam.dev',
  'deploy.cloud.google.com',
  'werf.io',
];

/** Argo CD up to 2.x writes app.kubernetes.io/instance on all that it applies. */
const TOOL_KEYS = new Set(['app.kubernetes.io/instance', 'app.kubernetes.io/managed-by', 'kubernetes.io/change-cause']);

/** What Deployments and pods bear of an application's labels or annotations. */
export function handedToPods(metadata: Metadata): Metadata {
  return withoutKeys(metadata, (key) => isOfDomains(key, DOMAINS_OF_THE_OBJECT));
}

/**
 * What makes a revision another one.
 *
 * @param excluded what the user excludes beside the tools' own: keys, and "domain/*" for every key of exactly that domain
 */
export function countedMetadata(metadata: Metadata, excluded: readonly string[]): Metadata {
  const isExcluded = (key: string) => excluded.some((pattern) => matches(pattern, key));
  return withoutKeys(metadata, (key) => TOOL_KEYS.has(key) || isOfDomains(key, TOOL_DOMAINS) || isExcluded(key));
}

function withoutKeys(metadata: Metadata, isLeftOut: (key: string) => boolean): Metadata {
  return Object.fromEntries(Object.entries(metadata).filter(([key]) => !isLeftOut(key)));
}

function isOfDomains(key: string, domains: readonly string[]): boolean {
  const domain = key.slice(0, Math.max(key.indexOf('/'), 0));
  return domains.some((tool) => domain === tool || domain.endsWith(`.${tool}`));
}

function matches(pattern: string, key: string): boolean {
  return pattern.endsWith('/*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern;
}

const DOMAIN = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const NAME = /^(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Whether something excludes keys of metadata: "key", "domain/key" or "domain/*". */
export function isMetadataPattern(pattern: string): boolean {
  const slash = pattern.indexOf('/');
  if (slash < 0) return NAME.test(pattern);
  const name = pattern.slice(slash + 1);
  return DOMAIN.test(pattern.slice(0, slash)) && (name === '*' || NAME.test(name));
}
