import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { openCluster } from '../control-plane.ts';
import { type ApplicationRehearsal, checkTakeOver, type TakeOverReport } from '../controllers/take-over-check.ts';
import { type KubeconfigSelection, readKubeconfig } from '../kubernetes/kubeconfig.ts';
import type { ObjectAddress } from '../kubernetes/paths.ts';
import { formatTime } from '../units.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';
import { layOut } from './render.ts';

const HELP = `headrace take-over: rehearses the take-over from Lyft's flinkk8soperator

Says of each FlinkApplication what Headrace would do, were the other operator switched off now, and what has to be done first.
Read-only: it may run while the other operator is at work, under a role that may only list flinkapplications, deployments,
services and horizontalpodautoscalers. docs/take-over.md has the role, and the steps.

Usage: headrace take-over --check [[NAMESPACE/]NAME ...] [OPTIONS]

Options:
      --check            required: there is nothing but the rehearsal. The take-over itself begins when the operator is off
  -n, --namespace NAME   the namespace to look at, and of names without one (default: that of the context)
  -A, --all-namespaces   look at every namespace
      --kubeconfig FILE  default: $KUBECONFIG, then ~/.kube/config
      --context NAME     default: the kubeconfig's current context
  -o, --output FORMAT    table (default) or json
      --json             the same as --output json
  -h, --help

Outcomes:
  Adopted           it is adopted as it runs: nothing is deployed, no pod is restarted
  Owned             Headrace deploys it already
  Deployed          nothing has been deployed yet, and Headrace will
  Redeployed        its annotation asks for a deploy of the spec on a new cluster
  HashMismatch      the spec is not what runs: Headrace would wait for you
  ClusterMissing    what the status calls deployed does not exist: Headrace would wait for you
  DeployInProgress  the other operator has to end a deploy first
  InvalidSpec       the spec has faults
  Deleting          it is being deleted
  NotFound          it was named, and does not exist
READY is yes where nothing has to be done before the operator is switched off; no HPA may drive the application either.

Exit status:
  0  every application is ready
  1  at least one is not; the line below it says what to do
  2  usage error
  3  the cluster could not be reached or read

Examples:
  headrace take-over --check -A
  headrace take-over --check flink/orders --json
`;

export const takeOverCommand: Command = {
  name: 'take-over',
  summary: "rehearses the take-over from Lyft's operator, read-only",
  help: HELP,
  run,
};

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const options = parseOptions(words);
  const { name, namespace, connection } = await readKubeconfig(options);
  const home = options.namespace ?? namespace;
  const names = options.names.map((address) => ({ namespace: home, ...address }));
  const namespaces = options.allNamespaces ? [] : namespacesOf(names, home);
  const cluster = openCluster(name, connection);
  try {
    const report = await checkTakeOver({ now: systemClock }, cluster, namespaces, names);
    terminal.out(options.output === 'json' ? renderJson(report) : renderTable(report, namespaces));
    return report.applications.every(({ isReady }) => isReady) ? EXIT.ok : EXIT.failed;
  } finally {
    cluster.client.close();
  }
}

function namespacesOf(names: readonly ObjectAddress[], home: string): readonly string[] {
  return names.length === 0 ? [home] : [...new Set(names.map(({ namespace }) => namespace))];
}

interface Options extends KubeconfigSelection {
  readonly namespace?: string;
  readonly allNamespaces: boolean;
  readonly output: 'table' | 'json';
  readonly names: readonly (Pick<ObjectAddress, 'name'> & Partial<ObjectAddress>)[];
}

function parseOptions(words: readonly string[]): Options {
  const { values, positionals } = parse(words);
  const { check = false, json = false, output = json ? 'json' : 'table', kubeconfig, context, namespace } = values;
  const allNamespaces = values['all-namespaces'] ?? false;
  if (!check) throw new UsageError('--check must be given: take-over has nothing but the rehearsal');
  if (output !== 'table' && output !== 'json') throw new UsageError(`--output must be table or json, but is ${output}`);
  if (json && output !== 'json') throw new UsageError(`--json and --output ${output} must not be given together`);
  if (namespace !== undefined && allNamespaces)
    throw new UsageError('--namespace and --all-namespaces must not be given together');
  if (allNamespaces && positionals.length > 0)
    throw new UsageError('--all-namespaces and the name of an application must not be given together');
  return {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
    allNamespaces,
    output,
    names: positionals.map((reference) => parseName(reference, namespace)),
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        check: { type: 'boolean' },
        json: { type: 'boolean' },
        namespace: { type: 'string', short: 'n' },
        'all-namespaces': { type: 'boolean', short: 'A' },
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        output: { type: 'string', short: 'o' },
      },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

function parseName(reference: string, given: string | undefined): Options['names'][number] {
  const parts = reference.split('/');
  const [name = '', namespace] = parts.toReversed();
  if (parts.length > 2 || name === '' || namespace === '')
    throw new UsageError(`an application must be NAME or NAMESPACE/NAME, but is ${reference}`);
  if (namespace !== undefined && given !== undefined && namespace !== given)
    throw new UsageError(`${reference} is not in the namespace that --namespace names, ${given}`);
  return namespace === undefined ? { name } : { namespace, name };
}

const COLUMNS = ['NAMESPACE', 'NAME', 'PHASE', 'CLUSTER', 'OUTCOME', 'READY'];

/** One row per application, and under it what would happen and what has to be done. */
function renderTable({ applications }: TakeOverReport, namespaces: readonly string[]): string {
  if (applications.length === 0) return `No FlinkApplication found in ${namespaces.join(', ') || 'any namespace'}.\n`;
  return layOut(COLUMNS, applications.map(toRow));
}

function toRow({ namespace, name, phase, deployHash, outcome, isReady, message, blockers }: ApplicationRehearsal) {
  const cells = [namespace, name, phase || '-', deployHash || '-', outcome, isReady ? 'yes' : 'no'];
  return { cells, notes: [message, ...blockers.map((blocker) => blocker.message)] };
}

/**
 * One JSON document: { cluster, time, applications: [{ namespace, name, phase, deployHash, outcome, ready, message,
 * blockers: [{ kind, name, message }], writer: { manager, time } }] }
 */
function renderJson({ cluster, time, applications }: TakeOverReport): string {
  const items = applications.map(toItem);
  return `${JSON.stringify({ cluster, time: formatTime(time), applications: items }, null, 2)}\n`;
}

function toItem({ isReady, blockers, writer, ...application }: ApplicationRehearsal): object {
  const { namespace, name, phase, deployHash, outcome, message } = application;
  return {
    namespace,
    name,
    phase,
    deployHash,
    outcome,
    ready: isReady,
    message,
    blockers: blockers.map(({ kind, name: blocker = null, message: why }) => ({ kind, name: blocker, message: why })),
    writer: writer ?? null,
  };
}
