// Bundles every function into dist/<name>/index.cjs and the CLI into dist/cli/headrace.mjs.
import { chmodSync, readdirSync, rmSync } from 'node:fs';

// Installed without development packages there is nothing to build with, and nothing to build: dist/ comes with the package.
const esbuild = await import('esbuild').catch(() => undefined);
if (esbuild === undefined) process.exit(0);
const { build } = esbuild;

rmSync('dist', { recursive: true, force: true });

const functionNames = readdirSync('functions')
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

// What these two ask AWS is rare: where the cluster is, once per cold start and only if configuration does not say; and a
// message to SQS when an application has changed or is on its way. The SDK that Lambda's runtime carries serves for that, and
// the hot path does not load 400 kB that it never uses.
const USES_RUNTIME_SDK = ['scale-check', 'reconcile'];

// CommonJS, because importing node:https from an ES module costs a cold start 25-35 ms on Node 24 and `require` 3 ms.
for (const name of functionNames)
  await build({
    entryPoints: { index: `functions/${name}.ts` },
    outdir: `dist/${name}`,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    external: USES_RUNTIME_SDK.includes(name) ? ['@aws-sdk/*'] : [],
    // import() becomes require(): only that looks where Lambda keeps its SDK.
    supported: { 'dynamic-import': false },
    minify: true,
    format: 'cjs',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    define: { 'import.meta.url': '__importMetaUrl' },
    banner: { js: "const __importMetaUrl=require('node:url').pathToFileURL(__filename).href;" },
    logLevel: 'warning',
  });

// The CLI keeps its packages outside: they are runtime dependencies of the published package.
await build({
  entryPoints: { headrace: 'shared/cli/bin.ts' },
  outdir: 'dist/cli',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node22',
  banner: { js: '#!/usr/bin/env node' },
  logLevel: 'warning',
});
chmodSync('dist/cli/headrace.mjs', 0o755);
