// What a tick found, for people and for programs.

import type { AutoscalerReport, TickReport } from '../controllers/scale.ts';
import type { Namespaces } from '../kubernetes/lists.ts';
import { formatTime } from '../units.ts';

const COLUMNS = ['NAMESPACE', 'NAME', 'REFERENCE', 'TARGETS', 'MIN', 'MAX', 'REPLICAS', 'DESIRED', 'OUTCOME', 'REASON'];

/** One row per autoscaler, and under it the sentence with the arithmetic. */
export function renderTable({ autoscalers }: TickReport, namespaces: Namespaces): string {
  if (autoscalers.length === 0) return `No FlinkAutoscaler found in ${namespaces.join(', ') || 'any namespace'}.\n`;
  return layOut(
    COLUMNS,
    autoscalers.map((autoscaler) => ({ cells: toRow(autoscaler), notes: [describe(autoscaler)] })),
  );
}

interface Row {
  readonly cells: readonly string[];
  /** Sentences, each on a line of its own below the row. */
  readonly notes: readonly string[];
}

/** Lays a table out in columns, under their names. */
export function layOut(columns: readonly string[], rows: readonly Row[]): string {
  const table = [columns, ...rows.map(({ cells }) => cells)];
  const widths = columns.map((_, column) => Math.max(...table.map((cells) => cells[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  const body = rows.flatMap(({ cells, notes }) => [line(cells), ...notes.map((note) => `  ${note}`)]);
  return `${[line(columns), ...body].join('\n')}\n`;
}

function toRow({ namespace, name, target, spec, decision, outcome }: AutoscalerReport): string[] {
  const cells = [spec?.minReplicas, spec?.maxReplicas, replicasOf(decision), decision?.desiredReplicas].map((number) =>
    number === undefined ? '-' : String(number),
  );
  return [namespace, name, target || '-', decision?.status.targets ?? '-', ...cells, outcome, decision?.reason ?? '-'];
}

/** What runs, where the target says so: not what it was asked for. */
function replicasOf(decision: AutoscalerReport['decision']): number | undefined {
  return decision?.status.currentReplicas ?? decision?.currentReplicas;
}

function describe({ decision, error }: AutoscalerReport): string {
  if (error === undefined) return decision?.message ?? '';
  return decision?.blocker === undefined ? error : `${error}; ${decision.blocker}`;
}

/** One JSON document: { cluster, time, autoscalers: [{ namespace, name, target, currentReplicas, desiredReplicas, rescale, outcome, reason, message, error, blocker }] } */
export function renderJson({ cluster, time, autoscalers }: TickReport): string {
  const items = autoscalers.map(({ namespace, name, target, decision, outcome, error }) => ({
    namespace,
    name,
    target,
    currentReplicas: replicasOf(decision) ?? null,
    desiredReplicas: decision?.desiredReplicas ?? null,
    rescale: decision?.rescale ?? false,
    outcome,
    reason: decision?.reason ?? null,
    message: decision?.message ?? null,
    error: error ?? null,
    blocker: decision?.blocker ?? null,
  }));
  return `${JSON.stringify({ cluster, time: formatTime(time), autoscalers: items }, null, 2)}\n`;
}
