// What the HPA controller made of a case, beside what Headrace made of it.
import { toWireMetric } from '../../../shared/kubernetes/flink-autoscaler.ts';
import { parseQuantity } from '../../../shared/units.ts';
import type { Case } from './plan.ts';
import type { HorizontalStatus, Outcome } from './stage.ts';

/** What is compared of one side. */
export interface Side {
  readonly size: number | undefined;
  readonly currentReplicas: number;
  readonly desiredReplicas: number;
  /** "AbleToScale=True/ReadyForNewScale", in their order. */
  readonly conditions: readonly string[];
  readonly metrics: readonly string[];
}

export interface Difference {
  readonly name: string;
  readonly tick: number;
  readonly hpa: Side;
  readonly headrace: Side;
  /** What each said. */
  readonly messages: readonly string[];
}

/** Compares one case at one tick. */
export function compare({ name }: Case, tick: number, outcome: Outcome): Difference | undefined {
  const { hpa, headrace } = sidesOf(name, outcome);
  if (JSON.stringify(hpa) === JSON.stringify(headrace)) return undefined;
  const messages = [outcome.hpas, outcome.autoscalers].flatMap((statuses) => messagesOf(statuses.get(name) ?? {}));
  return { name, tick, hpa, headrace, messages };
}

/** What both have made of a case. */
export function sidesOf(name: string, { hpas, autoscalers, reports, sizes }: Outcome): { hpa: Side; headrace: Side } {
  const hpaStatus = hpas.get(name) ?? {};
  // Readings alone are written to status at most every five minutes; the decision has them always.
  const readings = reports.get(name)?.decision?.currentMetrics?.map(toWireMetric) ?? [];
  return {
    hpa: sideOf(hpaStatus, hpaStatus.currentMetrics ?? [], sizes.get(`${name}-hpa`)),
    headrace: sideOf(autoscalers.get(name) ?? {}, readings, sizes.get(name)),
  };
}

function sideOf(status: HorizontalStatus, metrics: readonly unknown[], size: number | undefined): Side {
  return {
    size,
    currentReplicas: status.currentReplicas ?? 0,
    desiredReplicas: status.desiredReplicas ?? 0,
    conditions: (status.conditions ?? []).map(({ type, status: state, reason }) => `${type}=${state}/${reason}`),
    metrics: metrics.map(describeMetric),
  };
}

/** A metric status with its quantities as thousandths: they are written in more than one way. */
function describeMetric(metric: unknown): string {
  return JSON.stringify(metric, (key, value) =>
    key === 'value' || key === 'averageValue' ? `${parseQuantity(value)}m` : sorted(value),
  );
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function messagesOf({ conditions = [] }: HorizontalStatus): readonly string[] {
  return conditions.map(({ type, message }) => `${type}: ${message}`);
}
