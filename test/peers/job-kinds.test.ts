// All kinds of job through all their steps on all versions of Flink; the rows go to docs/measured/job-kinds.md, and must be the documented ones.
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { type FlinkVersion, flinkVersions } from '../real/bench/flink-build.ts';
import { useFlinkWorld } from '../real/bench/flink-world.ts';
import { readKubernetesVersion } from '../real/bench/go-build.ts';
import { linesIn, linesOf, tableOf } from '../real/job-kinds/table.ts';
import { type JobKind, jobKinds, type Row, walkKind } from '../real/job-kinds/walks.ts';

const docs = join(import.meta.dirname, '..', '..', 'docs');
const world = useFlinkWorld();
const measured = new Map<FlinkVersion, { readonly rows: readonly Row[]; readonly seconds: number }>();

afterAll(async () => {
  // Half a matrix would look like a whole one.
  if (measured.size < flinkVersions.length) return;
  mkdirSync(join(docs, 'measured'), { recursive: true });
  writeFileSync(join(docs, 'measured', 'job-kinds.md'), await describeRun());
});

it.each(flinkVersions)(
  'deals with every kind of job on Flink %s as documented',
  async (version) => {
    const startTime = performance.now();
    const kinds = Object.keys(jobKinds) as JobKind[];

    const walks = await Promise.all(kinds.map((kind) => walkKind(world, kind, version)));

    const rows = walks.flat();
    measured.set(version, { rows, seconds: Math.round((performance.now() - startTime) / 1000) });
    expect(linesOf(rows)).toEqual(linesIn(readFileSync(join(docs, 'job-kinds.md'), 'utf8')));
  },
  1_800_000,
);

async function describeRun(): Promise<string> {
  const { stdout } = await promisify(execFile)('java', ['--version']);
  const [java] = stdout.split('\n');
  const tables = [...measured].map(
    ([version, { rows, seconds }]) =>
      `\n## Flink ${version}\n\n${rows.length} rows in ${seconds} s\n\n${tableOf(linesOf(rows))}`,
  );
  return `# Kinds of job, as measured

Written by \`npm run test:peers\` on ${new Date().toISOString().slice(0, 10)}; what it means is told in [job-kinds.md](../job-kinds.md).

- Kubernetes ${await readKubernetesVersion()}, Flink ${flinkVersions.join(' and ')}, ${java}, Node ${process.versions.node}, ${availableParallelism()} processors
- No seed: nothing in it is random.
${tables.join('')}`;
}
