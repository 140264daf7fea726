// Bundles every function into dist/<name>/index.cjs and the CLI into dist/cli/headrace.mjs.
import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });

const functionNames = readdirSync('functions')
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -'.ts'.length));

// CommonJS, because importing node:https from an ES module costs a cold start 25-35 ms on Node 24 and `require` 3 ms.
if (functionNames.length > 0)
  await build({
    entryPoints: Object.fromEntries(functionNames.map((name) => [`${name}/index`, `functions/${name}.ts`])),
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    bundle: true,
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
if (existsSync('shared/cli/main.ts')) {
  await build({
    entryPoints: { headrace: 'shared/cli/main.ts' },
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
}
