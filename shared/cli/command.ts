import { parseArgs } from 'node:util';
import { type Cluster, openCluster } from '../control-plane.ts';
import { TerminalError } from '../errors.ts';
import { readKubeconfig } from '../kubernetes/kubeconfig.ts';
import type { Namespaces } from '../kubernetes/lists.ts';

/** Where a command writes, and how it learns that it should end. */
export interface Terminal {
  out(text: string): void;
  error(text: string): void;
  /** Resolves when what was written has been taken, so that a long output does not pile up in memory. Absent: at once. */
  readonly drained?: () => Promise<void>;
  /** Aborts on SIGINT and SIGTERM, and when nobody reads the output any more. */
  readonly interrupted: AbortSignal;
}

export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly help: string;
  /** @returns the exit status */
  run(words: readonly string[], terminal: Terminal): Promise<number>;
}

export const EXIT = { ok: 0, failed: 1, usage: 2, cluster: 3 } as const;

/** The words do not make a command; the message says which word and what must stand there. */
export class UsageError extends TerminalError {
  override readonly name = 'UsageError';
}

export interface CommonOptions {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly allNamespaces: boolean;
  readonly dryRun: boolean;
  readonly output: 'table' | 'json';
}

export const COMMON_HELP = `Options:
  -n, --namespace NAME   the namespace to look at (default: that of the context)
  -A, --all-namespaces   look at every namespace
      --kubeconfig FILE  default: $KUBECONFIG, then ~/.kube/config
      --context NAME     default: the kubeconfig's current context
      --dry-run          decide and show, write nothing
  -o, --output FORMAT    table (default) or json
  -h, --help
`;

/** Reads the options that every command has, and the flags of one's own. @throws UsageError */
export function parseCommonOptions<Flag extends string = never>(
  words: readonly string[],
  ...ownFlags: readonly Flag[]
): CommonOptions & { readonly flags: ReadonlySet<Flag> } {
  const { kubeconfig, context, namespace, output = 'table', ...flags } = parse(words, ownFlags);
  if (output !== 'table' && output !== 'json') throw new UsageError(`--output must be table or json, but is ${output}`);
  if (namespace !== undefined && flags['all-namespaces'] === true)
    throw new UsageError('--namespace and --all-namespaces must not be given together');
  const given: Readonly<Record<string, unknown>> = flags;
  return {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
    allNamespaces: flags['all-namespaces'] ?? false,
    dryRun: flags['dry-run'] ?? false,
    output,
    flags: new Set(ownFlags.filter((flag) => given[flag] === true)),
  };
}

function parse(words: readonly string[], flags: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      options: {
        ...Object.fromEntries(flags.map((flag) => [flag, { type: 'boolean' } as const])),
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        namespace: { type: 'string', short: 'n' },
        'all-namespaces': { type: 'boolean', short: 'A' },
        'dry-run': { type: 'boolean' },
        output: { type: 'string', short: 'o' },
      },
    }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

/** Opens the cluster and says which namespaces the options mean. @throws TerminalError naming what is missing in the kubeconfig */
export async function openFromOptions(options: CommonOptions): Promise<{ cluster: Cluster; namespaces: Namespaces }> {
  const { name, namespace, connection } = await readKubeconfig(options);
  const namespaces = options.allNamespaces ? [] : [options.namespace ?? namespace];
  return { cluster: openCluster(name, connection), namespaces };
}
