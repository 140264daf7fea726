import { RetryableError } from '../errors.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { attempt } from './reading.ts';

interface UnreadNamespace {
  readonly namespace: string;
  readonly error: string;
}

interface Reader<World> {
  /** What is read: "FlinkApplications". */
  readonly kind: string;
  /** Reads some namespaces; all of them, where none is named. */
  readonly read: (namespaces: Namespaces) => Promise<World>;
  readonly onUnread: (failure: UnreadNamespace) => void;
}

/**
 * Reads one world per namespace that is named, so that a right that is missing in one stops no other.
 *
 * @throws RetryableError when none of several can be read
 */
export async function readNamespaces<World>(
  namespaces: Namespaces,
  { kind, read, onUnread }: Reader<World>,
): Promise<readonly World[]> {
  if (namespaces.length < 2) return [await read(namespaces)];
  const readings = await Promise.all(
    namespaces.map(async (namespace) => ({ namespace, reading: await attempt(read([namespace])) })),
  );
  const failures = readings.flatMap(({ namespace, reading }) =>
    'unreadable' in reading ? [{ namespace, error: reading.unreadable }] : [],
  );
  for (const failure of failures) onUnread(failure);
  const [first] = failures;
  if (first !== undefined && failures.length === readings.length)
    throw new RetryableError(`reading the ${kind} of ${first.namespace}: ${first.error}`);
  return readings.flatMap(({ reading }) => ('value' in reading ? [reading.value] : []));
}
