// Checks a CloudFormation template against AWS's own resource specification, with nothing but npm: what CloudFormation
// would refuse minutes into a deployment is refused here in a second.
//
// What an intrinsic function yields is known to CloudFormation only, so its type is not checked; that what it refers to
// exists is. Values must have the type of the specification: CloudFormation would take "14" for 14, we need not write it.

import type { loadAwsServiceSpecSync } from '@aws-cdk/aws-service-spec';

export interface Template {
  readonly Resources: Readonly<Record<string, TemplateResource>>;
  readonly Parameters?: JsonObject;
  readonly Mappings?: JsonObject;
  readonly Conditions?: JsonObject;
  readonly Outputs?: JsonObject;
}

interface TemplateResource {
  readonly Type: string;
  readonly Properties?: JsonObject;
  readonly DependsOn?: string | readonly string[];
  readonly Condition?: string;
}

type Json = null | boolean | number | string | readonly Json[] | JsonObject;
interface JsonObject {
  readonly [key: string]: Json;
}

export interface Fault {
  /** Where in the template, as `Resources.TickQueue.Properties.VisibilityTimeout`. */
  readonly path: string;
  readonly message: string;
}

export type Specification = ReturnType<typeof loadAwsServiceSpecSync>;
type PropertyDefinitions = NonNullable<ReturnType<typeof findDefinition>>['properties'];
type PropertyType = PropertyDefinitions[string]['type'];

/** Every fault of the template: unknown types and properties, wrong types, what is missing, and what refers to nothing. */
export function checkTemplate(template: Template, specification: Specification): readonly Fault[] {
  return [
    ...Object.entries(template.Resources).flatMap(([id, resource]) =>
      checkResource(`Resources.${id}`, resource, specification),
    ),
    ...checkReferences(template, specification),
  ];
}

const RESOURCE_KEYS: ReadonlySet<string> = new Set(
  'Type Properties DependsOn Condition Metadata CreationPolicy UpdatePolicy DeletionPolicy UpdateReplacePolicy'.split(
    ' ',
  ),
);

function checkResource(path: string, resource: TemplateResource, specification: Specification): Fault[] {
  const unknownKeys = Object.keys(resource).filter((key) => !RESOURCE_KEYS.has(key));
  const faults = unknownKeys.map((key) => ({ path: `${path}.${key}`, message: 'unknown attribute of a resource' }));

  if (isCustom(resource.Type)) return faults;
  const definition = findDefinition(specification, resource.Type);
  if (!definition) return [...faults, { path, message: `unknown resource type ${resource.Type}` }];
  const properties = resource.Properties ?? {};
  return [...faults, ...checkObject(`${path}.Properties`, properties, definition.properties, specification)];
}

function checkObject(
  path: string,
  value: JsonObject,
  definitions: PropertyDefinitions,
  specification: Specification,
): Fault[] {
  const present = Object.entries(value).filter(([, property]) => !isNoValue(property));
  const missing = Object.keys(definitions)
    .filter((name) => definitions[name]?.required && !present.some(([key]) => key === name))
    .map((name) => ({ path, message: `required property ${name} is missing` }));

  return [
    ...missing,
    ...present.flatMap(([name, property]) => {
      const definition = definitions[name];
      if (!definition) return { path: `${path}.${name}`, message: 'unknown property' };
      return checkValue(`${path}.${name}`, property, definition.type, specification);
    }),
  ];
}

function checkValue(path: string, value: Json, type: PropertyType, specification: Specification): Fault[] {
  if (isIntrinsic(value)) return checkBranches(path, value, type, specification);

  switch (type.type) {
    case 'ref': {
      if (!isObject(value)) return wrongType(path, value, 'an object');
      return checkObject(path, value, specification.get('typeDefinition', type.reference).properties, specification);
    }
    case 'array': {
      if (!Array.isArray(value)) return wrongType(path, value, 'a list');
      return value.flatMap((item, index) => checkValue(`${path}.${index}`, item, type.element, specification));
    }
    case 'map': {
      if (!isObject(value)) return wrongType(path, value, 'an object');
      return Object.entries(value).flatMap(([key, item]) =>
        checkValue(`${path}.${key}`, item, type.element, specification),
      );
    }
    case 'union': {
      const alternatives = type.types.map((alternative) => checkValue(path, value, alternative, specification));
      // No alternative fits: the one that is nearest says best what is wrong.
      return alternatives.reduce((nearest, faults) => (faults.length < nearest.length ? faults : nearest));
    }
    case 'tag': {
      const isTag = isObject(value) && Object.keys(value).sort().join() === 'Key,Value';
      return isTag ? [] : wrongType(path, value, 'a tag (Key and Value)');
    }
    case 'string':
      return typeof value === 'string'
        ? checkAllowed(path, value, type.allowedValues)
        : wrongType(path, value, 'a string');
    case 'integer':
      return Number.isInteger(value)
        ? checkAllowed(path, value, type.allowedValues)
        : wrongType(path, value, 'an integer');
    case 'number':
      return typeof value === 'number' ? [] : wrongType(path, value, 'a number');
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrongType(path, value, 'true or false');
    case 'date-time':
      return typeof value === 'string' ? [] : wrongType(path, value, 'a time');
    case 'null':
      return value === null ? [] : wrongType(path, value, 'null');
    case 'json':
      return [];
    default:
      return type satisfies never;
  }
}

/** Both outcomes of an `Fn::If` have to fit. */
function checkBranches(path: string, value: JsonObject, type: PropertyType, specification: Specification): Fault[] {
  const branches = value['Fn::If'];
  if (!Array.isArray(branches)) return [];
  return branches
    .slice(1)
    .flatMap((branch, index) =>
      isNoValue(branch) ? [] : checkValue(`${path}.Fn::If.${index + 1}`, branch, type, specification),
    );
}

function checkAllowed(path: string, value: Json, allowed: readonly Json[] | undefined): Fault[] {
  if (!allowed || allowed.includes(value)) return [];
  return [{ path, message: `${JSON.stringify(value)} is not one of ${allowed.join(', ')}` }];
}

function wrongType(path: string, value: Json, expected: string): Fault[] {
  return [{ path, message: `expected ${expected}, found ${JSON.stringify(value)}` }];
}

/** Ref, Fn::GetAtt, Fn::Sub, Fn::If, DependsOn and Condition: what they name must be in the template. */
function checkReferences(template: Template, specification: Specification): Fault[] {
  return [
    ...Object.entries(template.Resources).flatMap(([id, resource]) => checkDependencies(id, resource, template)),
    ...walk('Resources', template.Resources as unknown as JsonObject),
    ...walk('Outputs', template.Outputs ?? {}),
    ...walk('Conditions', template.Conditions ?? {}),
  ];

  function walk(path: string, value: Json): Fault[] {
    if (typeof value !== 'object' || value === null) return [];
    if (isIntrinsic(value)) {
      const faults = checkIntrinsic(path, value);
      if (faults.length > 0) return faults;
    }
    return Object.entries(value).flatMap(([key, item]) => walk(`${path}.${key}`, item));
  }

  function checkIntrinsic(path: string, value: JsonObject): Fault[] {
    const [name, argument] = Object.entries(value)[0] ?? [];
    switch (name) {
      case 'Ref':
        return checkRef(path, String(argument));
      case 'Fn::GetAtt':
        return checkGetAtt(path, Array.isArray(argument) ? argument.join('.') : String(argument));
      case 'Fn::Sub':
        return checkSub(path, argument ?? '');
      case 'Fn::If':
        return checkCondition(path, Array.isArray(argument) ? argument[0] : argument, template);
      default:
        return [];
    }
  }

  function checkRef(path: string, id: string): Fault[] {
    const exists = id in template.Resources || id in (template.Parameters ?? {}) || PSEUDO_PARAMETERS.has(id);
    return exists ? [] : [{ path, message: `refers to ${id}, which is not in the template` }];
  }

  function checkGetAtt(path: string, reference: string): Fault[] {
    const [id = '', ...attribute] = reference.split('.');
    const resource = template.Resources[id];
    if (!resource) return [{ path, message: `refers to ${id}, which is not in the template` }];
    if (isCustom(resource.Type) || resource.Type === 'AWS::CloudFormation::Stack') return [];

    const attributes = findDefinition(specification, resource.Type)?.attributes;
    if (!attributes || attribute.join('.') in attributes) return [];
    return [{ path, message: `${resource.Type} (${id}) has no attribute ${attribute.join('.')}` }];
  }

  /** "${Id}", "${Id.Attribute}", "${!literal}"; a list of text and values gives names of its own. */
  function checkSub(path: string, argument: Json): Fault[] {
    const [text, values] = Array.isArray(argument) ? argument : [argument];
    const names = [...String(text).matchAll(/\$\{([^!}][^}]*)\}/g)].map((match) => match[1] ?? '');
    return names
      .filter((name) => !(isObject(values) && name in values))
      .flatMap((name) => (name.includes('.') ? checkGetAtt(path, name) : checkRef(path, name)));
  }
}

function checkDependencies(id: string, resource: TemplateResource, template: Template): Fault[] {
  const path = `Resources.${id}`;
  const missing = [resource.DependsOn ?? []].flat().filter((dependency) => !(dependency in template.Resources));
  return [
    ...missing.map((name) => ({
      path: `${path}.DependsOn`,
      message: `refers to ${name}, which is not in the template`,
    })),
    ...(resource.Condition === undefined ? [] : checkCondition(`${path}.Condition`, resource.Condition, template)),
  ];
}

function checkCondition(path: string, name: Json | undefined, template: Template): Fault[] {
  if (String(name) in (template.Conditions ?? {})) return [];
  return [{ path, message: `refers to condition ${name}, which is not in the template` }];
}

const PSEUDO_PARAMETERS: ReadonlySet<string> = new Set(
  ['AccountId', 'NotificationARNs', 'NoValue', 'Partition', 'Region', 'StackId', 'StackName', 'URLSuffix'].map(
    (name) => `AWS::${name}`,
  ),
);

function findDefinition(specification: Specification, type: string) {
  return specification.lookup('resource', 'cloudFormationType', 'equals', type)[0];
}

/** Types that AWS does not define, so that nothing is known of their properties. */
function isCustom(type: string): boolean {
  return type.startsWith('Custom::') || type === 'AWS::CloudFormation::CustomResource';
}

function isIntrinsic(value: Json): value is JsonObject {
  if (!isObject(value)) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && (keys[0] === 'Ref' || keys[0]?.startsWith('Fn::') === true);
}

/** `Ref: AWS::NoValue` takes the property away. */
function isNoValue(value: Json): boolean {
  return isObject(value) && value.Ref === 'AWS::NoValue';
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
