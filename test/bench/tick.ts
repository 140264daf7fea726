// The measured process of npm run bench: a warm function's ticks, and JSON.parse of the same bytes as a floor.

import { openCluster } from '../../shared/control-plane.ts';
import { scaleShard } from '../../shared/controllers/scale.ts';

export interface TickFigures {
  readonly first: Figures;
  readonly rest: readonly Figures[];
  readonly floor: { readonly bytes: number; readonly cpuMilliseconds: number };
  /** Of the ticks alone: taken before the floor is measured. */
  readonly peakMegabytes: number;
}

interface Figures {
  readonly cpuMilliseconds: number;
  readonly wallMilliseconds: number;
  readonly questions: number;
  readonly pages: number;
  readonly writes: number;
  readonly wireBytes: number;
}

const [, , endpoint = '', ticks = '5'] = process.argv;
const headers = { authorization: 'Bearer sandbox-token' };
const cluster = openCluster('bench', { endpoint, credentials: { headers: async () => headers, renew: () => {} } });
const log = { info: () => {}, warn: () => {}, error: (message: string, data: object) => console.error(message, data) };
const TICK_SECONDS = 15;

async function tick(): Promise<Figures> {
  const now = await advanceClock();
  const before = { ...cluster.client.traffic };
  const startCpu = process.cpuUsage();
  const start = performance.now();
  const report = await scaleShard({ now: async () => now, log }, cluster, []);
  const wallMilliseconds = performance.now() - start;
  const cpu = process.cpuUsage(startCpu);
  const failed = report.autoscalers.filter(({ outcome }) => outcome === 'failed' || outcome === 'conflict');
  if (report.autoscalers.length === 0 || failed.length > 0)
    throw new Error(`the tick went wrong: ${JSON.stringify(failed[0]?.error)}`);
  const { questions, requests, bytes, writes } = cluster.client.traffic;
  return {
    cpuMilliseconds: (cpu.user + cpu.system) / 1000,
    wallMilliseconds,
    questions: questions - before.questions,
    pages: requests - before.requests - (writes - before.writes),
    writes: writes - before.writes,
    wireBytes: bytes - before.bytes,
  };
}

async function advanceClock(): Promise<number> {
  const answer = await fetch(`${endpoint}/sandbox/clock`, {
    method: 'POST',
    body: JSON.stringify({ advanceSeconds: TICK_SECONDS }),
  });
  return ((await answer.json()) as { now: number }).now;
}

/** The bodies of one tick's questions, fetched again as text, and parsed: no reader can be quicker. */
async function measureFloor(): Promise<TickFigures['floor']> {
  const texts = await readTexts();
  globalThis.gc?.();
  const start = process.cpuUsage();
  for (const text of texts) JSON.parse(text);
  const cpu = process.cpuUsage(start);
  return { bytes: texts.reduce((sum, text) => sum + text.length, 0), cpuMilliseconds: (cpu.user + cpu.system) / 1000 };
}

async function readTexts(): Promise<string[]> {
  const selector = 'labelSelector=flink-deployment-type%3Dtaskmanager';
  const lists = [
    '/apis/headrace.dev/v1alpha1/flinkautoscalers?limit=500',
    '/apis/autoscaling/v2/horizontalpodautoscalers?limit=500',
    '/apis/flink.k8s.io/v1beta1/flinkapplications?limit=500',
    `/apis/metrics.k8s.io/v1beta1/pods?limit=500&${selector}`,
    `/api/v1/pods?limit=500&${selector}`,
  ];
  const texts = [];
  for (const list of lists) {
    let token: string | undefined = '';
    while (token !== undefined) {
      const answer: Response = await fetch(`${endpoint}${list}${token && `&continue=${token}`}`, { headers });
      const text: string = await answer.text();
      texts.push(text);
      const { metadata } = JSON.parse(text) as { metadata: { continue?: string } };
      token = metadata.continue || undefined;
    }
  }
  return texts;
}

const first = await tick();
const rest: Figures[] = [];
for (let index = 0; index < Number(ticks); index += 1) rest.push(await tick());
const peakMegabytes = process.resourceUsage().maxRSS / 1000;
const floor = await measureFloor();
console.log(JSON.stringify({ first, rest, floor, peakMegabytes } satisfies TickFigures));
cluster.client.close();
