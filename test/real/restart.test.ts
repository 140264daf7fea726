// In the middle of its windows and periods a controller is replaced by another. The HPA controller forgets; Headrace remembers, in a process that
// knows nothing but what the API server has.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sharedControlPlane } from './bench/shared-control-plane.ts';
import { type Case, type HorizontalSpec, tickSeconds } from './differential/plan.ts';
import { type Outcome, type Stage, setStage } from './differential/stage.ts';

let stage: Stage;

beforeAll(async () => {
  stage = await setStage(await sharedControlPlane());
});

afterAll(() => stage?.close());

/** One TaskManager more in five minutes: asked for at the first tick, and again at each that follows. */
const planLimited = (name: string) =>
  planCase(name, [9, 9, 9], { scaleUp: { policies: [{ type: 'Pods', value: 1, periodSeconds: 300 }] } });

/** 8 of them are recommended at the first tick only, and that is longer ago than the window when the third comes. */
const planStabilized = (name: string) =>
  planCase(name, [8, 3, 3], { scaleUp: { selectPolicy: 'Disabled' }, scaleDown: { stabilizationWindowSeconds: 20 } });

it('both decide the same as long as nobody is replaced', { timeout: 120_000 }, async () => {
  const sizes = await play({ restart: false });

  expect(sizes).toEqual({ limited: { hpa: 5, headrace: 5 }, stabilized: { hpa: 3, headrace: 3 } });
});

it('Headrace goes on as if nothing had happened, where the HPA controller starts anew', {
  timeout: 120_000,
}, async () => {
  const sizes = await play({ restart: true });

  // The HPA has a whole new budget, and waits for a whole new window.
  expect(sizes).toEqual({ limited: { hpa: 6, headrace: 5 }, stabilized: { hpa: 4, headrace: 3 } });
});

/** Three ticks; returns the sizes at the end. */
async function play({ restart }: { readonly restart: boolean }) {
  // Under names of their own: of an HPA that is gone the controller forgets nothing before it would have looked at it again.
  const limited = planLimited(restart ? 'limitedanew' : 'limited');
  const stabilized = planStabilized(restart ? 'stabilizedanew' : 'stabilized');
  await stage.put([limited, stabilized]);
  const startTime = Date.now();
  await stage.tick(0, { inFreshProcess: restart });
  await delay(startTime + tickSeconds * 1000 - Date.now());
  await stage.tick(1, { inFreshProcess: restart });
  await delay(startTime + 2 * tickSeconds * 1000 - Date.now());
  if (restart) await stage.restartControllers();
  const outcome = await stage.tick(2, { inFreshProcess: restart });
  return { limited: sizesOf(limited, outcome), stabilized: sizesOf(stabilized, outcome) };
}

function sizesOf({ name }: Case, { sizes }: Outcome) {
  return { hpa: sizes.get(`${name}-hpa`), headrace: sizes.get(name) };
}

/** 4 TaskManagers, and a lag outside the cluster that asks for so many at each tick. */
function planCase(name: string, wanted: readonly number[], behavior: NonNullable<HorizontalSpec['behavior']>): Case {
  const metric = `lag-${name}-0`;
  const target = { type: 'AverageValue', averageValue: '1' };
  return {
    name,
    replicas: 4,
    statusReplicas: 4,
    spec: {
      maxReplicas: 20,
      metrics: [{ type: 'External', external: { metric: { name: metric }, target } }],
      behavior,
    },
    pods: [],
    ticks: wanted.map((lag) => ({ usage: new Map(), values: new Map([[metric, [String(lag)]]]) })),
  };
}
