import { readFile } from 'node:fs/promises';
import { text as readText } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { Document, parseAllDocuments } from 'yaml';
import { describeError, TerminalError } from '../errors.ts';
import { jsonPages } from '../kubernetes/client.ts';
import { type Conversion, convertAutoscaler, GENERAL_NOTES } from '../kubernetes/conversion.ts';
import { listAll } from '../kubernetes/lists.ts';
import { HORIZONTAL_POD_AUTOSCALERS } from '../kubernetes/paths.ts';
import { JsonSplitter, MalformedInputError } from '../replay/split.ts';
import { type Command, EXIT, openFromOptions, type Terminal, UsageError } from './command.ts';

const HELP = `headrace convert: HorizontalPodAutoscalers as FlinkAutoscalers

Reads HPAs (autoscaling/v1, v2, v2beta2, v2beta1; YAML, JSON, lists) and prints a FlinkAutoscaler for each. What has no
counterpart, means something else, or has to be done is told on the standard error, and in the YAML as comments. Nothing is
written to a cluster.

Usage: headrace convert [FILE|-] [OPTIONS]
       headrace convert --all [-n NAMESPACE | -A] [OPTIONS]

Options:
      --all              the HPAs of the cluster instead of a file
      --advise           with mode: Advise, to look on beside the HPA before it is deleted
  -n, --namespace NAME   with --all: the namespace (default: that of the context)
  -A, --all-namespaces   with --all: every namespace
      --kubeconfig FILE  default: $KUBECONFIG, then ~/.kube/config
      --context NAME     default: the kubeconfig's current context
  -o, --output FORMAT    yaml (default) or json
  -h, --help

Exit status:
  0  everything that was an HPA was converted
  2  the input is no YAML or JSON, or holds an HPA that no API server would take; nothing is printed
  3  the cluster could not be reached or read

Examples:
  headrace convert hpa.yaml > flinkautoscaler.yaml
  kubectl get hpa orders -o yaml | headrace convert - --advise | kubectl apply -f -
  headrace convert --all -A -o json
`;

export const convertCommand: Command = {
  name: 'convert',
  summary: 'HorizontalPodAutoscalers as FlinkAutoscalers',
  help: HELP,
  run,
};

/** The input is no YAML or JSON, or holds what cannot be converted. */
class InputError extends TerminalError {
  override readonly name = 'InputError';
}

interface Options {
  readonly file: string;
  readonly all: boolean;
  readonly advise: boolean;
  readonly output: 'yaml' | 'json';
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly allNamespaces: boolean;
}

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const options = parseOptions(words);
  try {
    const objects = options.all ? await listObjects(options) : parseObjects(await readInput(options.file));
    const { conversions, notes } = convertAll(objects, options);
    for (const note of notes) terminal.error(`headrace convert: ${note.replaceAll(/\p{Cc}/gu, ' ')}\n`);
    if (conversions.length > 0)
      terminal.out(options.output === 'json' ? renderJson(conversions) : renderYaml(conversions));
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    terminal.error(
      `headrace convert: ${options.all ? '' : `${options.file === '-' ? 'standard input' : options.file}: `}${error.message}\n`,
    );
    return EXIT.usage;
  }
}

function parseOptions(words: readonly string[]): Options {
  const { values, positionals } = parse(words);
  const { all = false, advise = false, output = 'yaml', namespace, kubeconfig, context } = values;
  const allNamespaces = values['all-namespaces'] ?? false;
  if (output !== 'yaml' && output !== 'json') throw new UsageError(`--output must be yaml or json, but is ${output}`);
  if (namespace !== undefined && allNamespaces)
    throw new UsageError('--namespace and --all-namespaces must not be given together');
  const isOfCluster = [namespace, kubeconfig, context].some((value) => value !== undefined) || allNamespaces;
  if (isOfCluster && !all) throw new UsageError('options of a cluster are of use with --all alone');
  const [file, ...others] = positionals;
  if (others.length > 0 || (all && file !== undefined)) throw new UsageError('one file, or --all');
  if (!all && file === undefined && process.stdin.isTTY)
    throw new UsageError('a file must be named, or - for the standard input, or --all for the cluster');
  return {
    file: file ?? '-',
    all,
    advise,
    output,
    allNamespaces,
    ...(namespace !== undefined && { namespace }),
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
  };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        all: { type: 'boolean' },
        advise: { type: 'boolean' },
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

async function listObjects(options: Options): Promise<readonly unknown[]> {
  const { cluster, namespaces } = await openFromOptions({ ...options, dryRun: true, output: 'json' });
  const { apiVersion } = HORIZONTAL_POD_AUTOSCALERS;
  const named = (item: unknown) => ({ apiVersion, kind: 'HorizontalPodAutoscaler', ...(item as object) });
  try {
    return await listAll(cluster.client, HORIZONTAL_POD_AUTOSCALERS, namespaces, jsonPages(named));
  } finally {
    cluster.client.close();
  }
}

async function readInput(file: string): Promise<string> {
  try {
    return file === '-' ? await readText(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`reading ${file}: ${describeError(cause)}`, { cause });
  }
}

/** Reads the objects of a text, those inside lists too. @throws InputError saying where the text is wrong */
function parseObjects(text: string): readonly unknown[] {
  const objects = (parseJson(text) ?? parseYaml(text)).flatMap(unpackList);
  if (objects.length === 0) throw new InputError('there is no object in it');
  return objects;
}

/** What begins like JSON is read as JSON, which may also be YAML in flow style. @returns undefined for what is no JSON */
function parseJson(text: string): unknown[] | undefined {
  if (!/^\ufeff?\s*[[{]/.test(text)) return undefined;
  const splitter = new JsonSplitter();
  try {
    return [...splitter.push(new TextEncoder().encode(text)), ...splitter.end()];
  } catch (error) {
    if (error instanceof MalformedInputError) return undefined;
    throw error;
  }
}

function parseYaml(text: string): unknown[] {
  const documents = parseAllDocuments(text, { merge: true });
  try {
    return [...documents].flatMap((document) => {
      const [error] = document.errors;
      if (error !== undefined) throw error;
      const object: unknown = document.toJS();
      // Nothing stands between two separators: kustomize and helm leave such gaps.
      return object === null ? [] : [object];
    });
  } catch (cause) {
    throw new InputError(`this is no YAML: ${describeError(cause).trim()}`, { cause });
  }
}

interface WireObject {
  readonly apiVersion?: unknown;
  readonly kind?: unknown;
  readonly metadata?: { readonly namespace?: unknown; readonly name?: unknown };
  readonly items?: unknown;
}

/** The items of a typed list are what the list says, even where they do not say it themselves. */
function unpackList(value: unknown): readonly unknown[] {
  const { apiVersion, kind, items } = (value ?? {}) as WireObject;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return [value];
  const inherited = kind === 'List' ? {} : { apiVersion, kind: kind.slice(0, -'List'.length) };
  return items.flatMap((item) =>
    unpackList(typeof item === 'object' && item !== null ? { ...inherited, ...item } : item),
  );
}

interface Converted {
  readonly conversions: readonly Conversion[];
  /** In the order of the input, the general ones last. */
  readonly notes: readonly string[];
}

/** @throws InputError naming every fault of every object */
function convertAll(objects: readonly unknown[], options: Options): Converted {
  const conversions: Conversion[] = [];
  const notes: string[] = [];
  const faults: string[] = [];
  for (const [index, object] of objects.entries()) {
    const { kind, metadata } = (object ?? {}) as WireObject;
    const name = [metadata?.namespace, metadata?.name].filter((part) => part !== undefined).join('/');
    if (typeof kind !== 'string') faults.push(`object ${index + 1} has no kind: it is no Kubernetes object`);
    else if (kind !== 'HorizontalPodAutoscaler') notes.push(`${kind} ${name} is passed over`);
    else {
      const converted = convertAutoscaler(object, options);
      if ('faults' in converted) faults.push(...converted.faults.map((fault) => `${kind} ${name}: ${fault}`));
      else {
        conversions.push(converted);
        notes.push(...converted.notes.map((note) => `${name}: ${note}`));
      }
    }
  }
  if (faults.length > 0) throw new InputError(faults.join('\n'));
  notes.push(...(conversions.length > 0 ? GENERAL_NOTES : ['there is no HorizontalPodAutoscaler to convert']));
  return { conversions, notes };
}

function renderJson(conversions: readonly Conversion[]): string {
  const manifests = conversions.map(({ manifest }) => manifest);
  const document = manifests.length === 1 ? manifests[0] : { apiVersion: 'v1', kind: 'List', items: manifests };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** A document for each, its notes above it. */
function renderYaml(conversions: readonly Conversion[]): string {
  const documents = conversions.map(({ manifest, notes }, index) => {
    // kubectl reads YAML 1.1, where a bare Off or on is no string: they are quoted as that version needs it.
    const document = new Document(manifest, { version: '1.1' });
    const comments = index === 0 ? [...GENERAL_NOTES, ...notes] : notes;
    document.commentBefore = comments.map((note) => ` ${note}`).join('\n');
    return document.toString({ lineWidth: 0 });
  });
  return documents.join('---\n');
}
