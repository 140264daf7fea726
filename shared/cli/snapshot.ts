import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../clock.ts';
import { openCluster } from '../control-plane.ts';
import { type AutoscalerAddress, takeSnapshot } from '../controllers/snapshot.ts';
import { describeError } from '../errors.ts';
import { type KubeconfigSelection, readKubeconfig } from '../kubernetes/kubeconfig.ts';
import { type Command, EXIT, type Terminal, UsageError } from './command.ts';

const HELP = `headrace snapshot: a live observation, as a file

Records what a tick would see of one autoscaler now: the object with its status, its target's scale and pods, the metrics it
asks for, and what could not be read. Read-only. headrace replay judges it, today and tomorrow: a question about production
becomes a file. Of each object only the fields are kept that a decision reads: no environment, arguments, annotations or
volumes. Names, labels, selectors and the messages in status are in it.

Usage: headrace snapshot [hpa/]NAMESPACE/NAME [OPTIONS]

NAMESPACE/NAME is a FlinkAutoscaler; hpa/NAMESPACE/NAME a HorizontalPodAutoscaler, as its own controller would see it.

Options:
      --file FILE        write to a file instead of the standard output
      --kubeconfig FILE  default: $KUBECONFIG, then ~/.kube/config
      --context NAME     default: the kubeconfig's current context
  -h, --help

Examples:
  headrace snapshot flink/orders | headrace replay - --table
  headrace snapshot hpa/shop/frontend --file frontend.json
  while sleep 15; do headrace snapshot flink/orders; done >> orders.ndjson
`;

export const snapshotCommand: Command = {
  name: 'snapshot',
  summary: 'records what a tick sees of one autoscaler, for replay',
  help: HELP,
  run,
};

async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const { address, file, ...selection } = parseOptions(words);
  const { name, connection } = await readKubeconfig(selection);
  const cluster = openCluster(name, connection);
  try {
    const snapshot = `${JSON.stringify(await takeSnapshot({ now: systemClock }, cluster, address))}\n`;
    if (file === undefined) terminal.out(snapshot);
    else await write(file, snapshot);
    return EXIT.ok;
  } finally {
    cluster.client.close();
  }
}

interface Options extends KubeconfigSelection {
  readonly address: AutoscalerAddress;
  readonly file?: string;
}

function parseOptions(words: readonly string[]): Options {
  const { values, positionals } = parse(words);
  const [reference, ...others] = positionals;
  if (reference === undefined || others.length > 0)
    throw new UsageError('one autoscaler must be named, as NAMESPACE/NAME or hpa/NAMESPACE/NAME');
  return { ...values, address: parseAddress(reference) };
}

function parse(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: { file: { type: 'string' }, kubeconfig: { type: 'string' }, context: { type: 'string' } },
    });
  } catch (cause) {
    throw new UsageError((cause as Error).message);
  }
}

function parseAddress(reference: string): AutoscalerAddress {
  const parts = reference.split('/');
  const isHpa = parts.length === 3 && parts[0] === 'hpa';
  const [namespace = '', name = '', ...more] = isHpa ? parts.slice(1) : parts;
  if (namespace === '' || name === '' || more.length > 0)
    throw new UsageError(`an autoscaler must be NAMESPACE/NAME or hpa/NAMESPACE/NAME, but is ${reference}`);
  return { kind: isHpa ? 'HorizontalPodAutoscaler' : 'FlinkAutoscaler', namespace, name };
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (cause) {
    throw new UsageError(`writing ${file}: ${describeError(cause)}`, { cause });
  }
}
