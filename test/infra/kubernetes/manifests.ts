import { readFileSync } from 'node:fs';
import { parseAllDocuments } from 'yaml';

const folder = new URL('../../../infra/kubernetes/', import.meta.url);

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
}

/** The part of a CRD's schema that the tests look at. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly pattern?: string;
  readonly default?: unknown;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
}

interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly jsonPath: string;
  readonly priority?: number;
}

interface Version {
  readonly name: string;
  readonly subresources: Readonly<Record<string, unknown>>;
  readonly additionalPrinterColumns: readonly PrinterColumn[];
  readonly schema: { readonly openAPIV3Schema: Schema };
}

export interface CustomResourceDefinition extends Manifest {
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: Readonly<Record<string, unknown>>;
    readonly versions: readonly [Version];
  };
}

/** Every document of one file below infra/kubernetes. */
export function readManifests<T extends Manifest>(path: string): T[] {
  const text = readFileSync(new URL(path, folder), 'utf8');
  return parseAllDocuments(text).map((document) => document.toJS() as T);
}

/** The only document of one file below infra/kubernetes. */
export function readManifest<T extends Manifest>(path: string): T {
  const [manifest, ...others] = readManifests<T>(path);
  if (manifest === undefined || others.length > 0) throw new Error(`${path}: one document expected`);
  return manifest;
}

/** The schema of a field, or undefined where none is declared. Path as in lyft-crd-fields.txt: `a.b[].c{}`. */
export function schemaAt(root: Schema, path: string): Schema | undefined {
  return stepsOf(path).reduce<Schema | undefined>(stepInto, root);
}

/** One step of a path down: a property's name, `[]` into a list's items, `{}` into a map's values. */
export function stepInto(schema: Schema | undefined, step: string): Schema | undefined {
  if (step === '[]') return schema?.items;
  if (step === '{}') return schema?.additionalProperties;
  return schema?.properties?.[step] ?? schema?.additionalProperties;
}

/** `a.b[].c{}` → a, b, [], c, {}. */
export function stepsOf(path: string): string[] {
  return path.match(/\[\]|\{\}|[^.[\]{}]+/g) ?? [];
}
