// Every fault of a spec at once, before anything is touched: an application whose spec cannot be deployed keeps running.

import {
  DEFAULT_RESOURCES,
  hasHighAvailability,
  jobManagersOf,
  memoryModelOf,
  memorySize,
  portsOf,
  readBytes,
} from './flink-config.ts';
import { readGoQuantity } from './go-quantity.ts';
import { isMetadataPattern } from './metadata.ts';
import type { ApplicationSpec, ContainerFields, JobManagerConfig, TaskManagerConfig } from './types.ts';

/**
 * Says what makes a spec impossible to deploy.
 *
 * @param name of the application, from which the names of its services are made
 * @returns a sentence for each fault: the field, what it is, what it must be; none if all is well
 */
export function validate(name: string, spec: ApplicationSpec): readonly string[] {
  return [
    ...nameFaults(name),
    ...jobFaults(spec),
    ...sizeFaults(spec),
    ...wordFaults(spec),
    ...metadataFaults(spec),
    ...durationFaults(spec),
    ...suspendFaults(spec),
    ...savepointFaults(spec),
    ...wholeFault('spec.rollbackWindowSeconds', spec.rollbackWindowSeconds ?? SHORTEST_INTERVAL_SECONDS, {
      atLeast: SHORTEST_INTERVAL_SECONDS,
    }),
    ...portFaults(spec),
    ...configFaults(spec),
    ...memoryFaults(spec, 'jobManager'),
    ...memoryFaults(spec, 'taskManager'),
    ...containerFaults(spec, 'jobManager'),
    ...containerFaults(spec, 'taskManager'),
  ];
}

/** A service may have 63 characters, and a cluster's is named <application>-<hash of 8>. */
const LONGEST_NAME = 63 - '-12345678'.length;
const SERVICE_NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;

function nameFaults(name: string): string[] {
  const faults: string[] = [];
  if (name.length > LONGEST_NAME)
    faults.push(
      `metadata.name has ${name.length} characters: the name of a service is made from it, so it must have ${LONGEST_NAME} at most.`,
    );
  if (!SERVICE_NAME.test(name))
    faults.push(
      `metadata.name is "${name}": the name of a service is made from it, so it must have only a-z, 0-9 and "-", begin with a letter and not end with "-".`,
    );
  return faults;
}

function jobFaults({ image, jarName, entryClass, programArgs, programArgsList = [] }: ApplicationSpec): string[] {
  const faults: string[] = [];
  if (!image) faults.push('spec.image is empty: it must name the image of the pods.');
  if (!jarName) faults.push("spec.jarName is empty: it must name a jar in the image's upload directory.");
  if (jarName && /[/\\]/.test(jarName))
    faults.push(`spec.jarName is "${jarName}": it must be the name of a file, without a path.`);
  if (!entryClass) faults.push('spec.entryClass is empty: it must name the class with the main method.');
  if (programArgs && programArgsList.length > 0)
    faults.push('spec.programArgs and spec.programArgsList are both given: one of them must be left out.');
  return faults;
}

const INT32_MAX = 2 ** 31 - 1;

function sizeFaults({ parallelism, taskManagerConfig, jobManagerConfig }: ApplicationSpec): string[] {
  return [
    ...wholeFault('spec.parallelism', parallelism, { atLeast: 1 }),
    ...wholeFault('spec.taskManagerConfig.taskSlots', taskManagerConfig?.taskSlots ?? 1, { atLeast: 1 }),
    ...wholeFault('spec.taskManagerConfig.replicas', taskManagerConfig?.replicas ?? 1, { atLeast: 1 }),
    ...wholeFault('spec.jobManagerConfig.replicas', jobManagerConfig?.replicas ?? 1, { atLeast: 1 }),
  ];
}

function wholeFault(field: string, value: unknown, { atLeast, atMost = INT32_MAX }: Range): string[] {
  const isWithin = Number.isInteger(value) && (value as number) >= atLeast && (value as number) <= atMost;
  return isWithin ? [] : [`${field} is ${shown(value)}: it must be a whole number from ${atLeast} to ${atMost}.`];
}

interface Range {
  readonly atLeast: number;
  readonly atMost?: number;
}

function shown(value: unknown): string {
  return value === undefined ? 'missing' : JSON.stringify(value);
}

function wordFaults(spec: ApplicationSpec): string[] {
  return [
    ...wordFault('spec.deploymentMode', spec.deploymentMode, ['Dual', 'BlueGreen']),
    ...wordFault('spec.deleteMode', spec.deleteMode, ['Savepoint', 'None', 'ForceCancel']),
    ...wordFault('spec.scaleMode', spec.scaleMode, ['NewCluster', 'InPlace']),
    ...wordFault('spec.restartPolicy', spec.restartPolicy, ['Never', 'FromLatestCheckpoint']),
    ...wordFault('spec.imagePullPolicy', spec.imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
  ];
}

function metadataFaults({ excludedMetadata = [] }: ApplicationSpec): string[] {
  return excludedMetadata.flatMap((pattern, index) =>
    isMetadataPattern(pattern)
      ? []
      : [
          `spec.excludedMetadata[${index}] is ${shown(pattern)}: it must be the key of a label or an annotation, or "domain/*" for all keys of a domain.`,
        ],
  );
}

function wordFault(field: string, value: string | undefined, words: readonly string[]): string[] {
  if (!value || words.includes(value)) return [];
  return [`${field} is ${shown(value)}: it must be one of ${words.join(', ')}.`];
}

function durationFaults({ timeouts = {}, maxCheckpointRestoreAgeSeconds }: ApplicationSpec): string[] {
  return [
    ...Object.entries(timeouts).flatMap(([key, value]) => wholeFault(`spec.timeouts.${key}`, value, { atLeast: 1 })),
    ...wholeFault('spec.maxCheckpointRestoreAgeSeconds', maxCheckpointRestoreAgeSeconds ?? 1, { atLeast: 1 }),
  ];
}

function suspendFaults({ suspend, deploymentMode }: ApplicationSpec): string[] {
  if (suspend !== true || deploymentMode !== 'BlueGreen') return [];
  return [
    'spec.suspend is true and spec.deploymentMode BlueGreen: only an application with deploymentMode Dual can be suspended.',
  ];
}

/** Applications at rest are looked at once a minute. */
const SHORTEST_INTERVAL_SECONDS = 60;
const LONGEST_HISTORY = 50;

function savepointFaults({ savepointHistory, periodicSavepoints }: ApplicationSpec): string[] {
  const faults: string[] = [];
  if (periodicSavepoints !== undefined)
    faults.push(
      ...wholeFault('spec.periodicSavepoints.intervalSeconds', periodicSavepoints.intervalSeconds, {
        atLeast: SHORTEST_INTERVAL_SECONDS,
      }),
    );
  if (savepointHistory === undefined) return faults;
  const { maxCount, maxAgeSeconds } = savepointHistory;
  if (maxCount === undefined && maxAgeSeconds === undefined)
    faults.push('spec.savepointHistory is empty: it must have maxCount, maxAgeSeconds or both.');
  return [
    ...faults,
    ...wholeFault('spec.savepointHistory.maxCount', maxCount ?? 1, { atLeast: 1, atMost: LONGEST_HISTORY }),
    ...wholeFault('spec.savepointHistory.maxAgeSeconds', maxAgeSeconds ?? 1, { atLeast: 1 }),
  ];
}

const PORT_FIELDS = {
  rpc: 'rpcPort',
  blob: 'blobPort',
  query: 'queryPort',
  ui: 'uiPort',
  metrics: 'metricsQueryPort',
} as const;

function portFaults(spec: ApplicationSpec): string[] {
  const ports = Object.entries(portsOf(spec)).map(([key, port]) => ({
    field: `spec.${PORT_FIELDS[key as keyof typeof PORT_FIELDS]}`,
    port,
  }));
  const equal = ports.flatMap((one, index) =>
    ports
      .slice(index + 1)
      .flatMap((other) => (other.port === one.port ? [equalFault(one.field, other.field, one.port)] : [])),
  );
  return [...ports.flatMap(({ field, port }) => wholeFault(field, port, { atLeast: 1, atMost: 65535 })), ...equal];
}

function equalFault(field: string, other: string, port: number): string {
  return `${field} and ${other} are both ${shown(port)}, defaults included: every port must be another.`;
}

function configFaults(spec: ApplicationSpec): string[] {
  const faults = Object.entries(spec.flinkConfig ?? {})
    .filter(([, value]) => !isScalar(value))
    .map(
      ([key, value]) =>
        `spec.flinkConfig["${key}"] is ${shown(value)}: it must be a text, true, false or a number below 2^53.`,
    );
  const replicas = jobManagersOf(spec);
  if (replicas > 1 && !hasHighAvailability(spec))
    faults.push(
      `spec.jobManagerConfig.replicas is ${replicas}: more than one JobManager needs high-availability.type in spec.flinkConfig, or they do not know of each other.`,
    );
  return faults;
}

/** A number that JSON could not carry exactly is not what was written. */
function isScalar(value: unknown): boolean {
  if (typeof value !== 'number') return typeof value === 'string' || typeof value === 'boolean';
  return !Number.isInteger(value) || Number.isSafeInteger(value);
}

type Process = 'jobManager' | 'taskManager';

/** What keeps the size of Flink's memory from being worked out. */
function memoryFaults(spec: ApplicationSpec, process: Process): string[] {
  const section: JobManagerConfig & TaskManagerConfig = spec[`${process}Config`] ?? {};
  const field = `spec.${process}Config`;
  const faults = [
    ...fractionFaults(spec, field, section),
    ...quantityFaults(`${field}.resources.requests`, section.resources?.requests ?? {}),
    ...quantityFaults(`${field}.resources.limits`, section.resources?.limits ?? {}),
    ...requestFaults(`${field}.resources.requests.memory`, section.resources ?? DEFAULT_RESOURCES[process]),
    ...limitFaults(`${field}.resources`, section.resources ?? {}),
  ];
  if (faults.length > 0 || memorySize(spec, process, readBytes) !== '0k') return faults;
  const { fraction } = memoryModelOf(spec);
  return [`${field} leaves no memory to Flink: its memory request, less ${fraction}, must be 1Ki at least.`];
}

type Section = JobManagerConfig & TaskManagerConfig;

function fractionFaults(spec: ApplicationSpec, field: string, section: Section): string[] {
  const { fraction, unusableFraction, setting } = memoryModelOf(spec);
  const faults: string[] = [];
  const share: unknown = section[fraction];
  if (share != null && !(typeof share === 'number' && share >= 0 && share <= 1))
    faults.push(`${field}.${fraction} is ${shown(share)}: it must be a number from 0 to 1.`);
  if (section[unusableFraction] != null)
    faults.push(
      `${field}.${unusableFraction} is for Flink ${setting === 'heap.size' ? 'from 1.11 on' : 'before 1.11'}, and spec.flinkVersion is ${shown(spec.flinkVersion)}: it must be left out, or ${fraction} be used.`,
    );
  return faults;
}

type Quantities = Readonly<Record<string, string | number>>;

function quantityFaults(field: string, quantities: Quantities): string[] {
  return Object.entries(quantities)
    .filter(([, quantity]) => !isAmount(quantity))
    .map(
      ([resource, quantity]) =>
        `${field}.${resource} is ${shown(quantity)}: it must be a quantity such as 500m, 2 or 1536Mi.`,
    );
}

function isAmount(quantity: unknown): boolean {
  const nano = readGoQuantity(quantity)?.nano;
  return nano !== undefined && nano >= 0n;
}

function requestFaults(field: string, { requests }: { readonly requests?: Quantities }): string[] {
  const quantity = requests?.memory;
  if (quantity === undefined)
    return [
      `${field} is missing: resources that are given replace the default ones, and Flink's memory is worked out from it.`,
    ];
  if (!isAmount(quantity)) return [];
  const bytes = readBytes(quantity);
  return bytes !== undefined && bytes > 0n
    ? []
    : [`${field} is ${shown(quantity)}: it must be whole bytes, and more than 0.`];
}

function limitFaults(
  field: string,
  { requests = {}, limits = {} }: { requests?: Quantities; limits?: Quantities },
): string[] {
  return Object.entries(requests)
    .filter(([resource, request]) => isAbove(request, limits[resource]))
    .map(
      ([resource, request]) =>
        `${field}.requests.${resource} is ${shown(request)}: it must not be above the limit, ${shown(limits[resource])}.`,
    );
}

function isAbove(request: unknown, limit: unknown): boolean {
  const [asked, most] = [readGoQuantity(request)?.nano, readGoQuantity(limit)?.nano];
  return asked !== undefined && most !== undefined && asked > most;
}

const CONTAINER_NAME = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Of the containers beside Flink's own; what else is in them the API server checks when the Deployment is made. */
function containerFaults(spec: ApplicationSpec, process: 'jobManager' | 'taskManager'): string[] {
  const { initContainers = [], sidecars = [] } = spec[`${process}Config`] ?? {};
  const field = `spec.${process}Config`;
  const containers = [
    ...initContainers.map((container, index) => ({ container, at: `${field}.initContainers[${index}]` })),
    ...sidecars.map((container, index) => ({ container, at: `${field}.sidecars[${index}]` })),
  ];
  const names = containers.map(({ container }) => container.name);
  return [
    ...containers.flatMap(({ container, at }, index) => [
      ...containerNameFaults(`${at}.name`, container.name, [process.toLowerCase(), ...names.slice(0, index)]),
      ...(container.image ? [] : [`${at}.image is empty: it must name the image of the container.`]),
      ...mountFaults(spec, container, at),
    ]),
    ...sidecars.flatMap((container, index) => sidecarPortFaults(spec, container, `${field}.sidecars[${index}]`)),
  ];
}

function containerNameFaults(field: string, name: string, taken: readonly string[]): string[] {
  if (!CONTAINER_NAME.test(name))
    return [
      `${field} is ${shown(name)}: it must have 1 to 63 characters, only a-z, 0-9 and "-", and neither begin nor end with "-".`,
    ];
  if (!taken.includes(name)) return [];
  return [`${field} is ${shown(name)}: another container of the pod has that name, and each must have its own.`];
}

function mountFaults({ volumes = [] }: ApplicationSpec, { volumeMounts = [] }: ContainerFields, at: string): string[] {
  const known = volumes.map((volume) => (volume as { readonly name?: unknown }).name);
  return volumeMounts.flatMap(({ name }, index) =>
    known.includes(name)
      ? []
      : [`${at}.volumeMounts[${index}].name is ${shown(name)}: it must be the name of one of spec.volumes.`],
  );
}

/** Containers of a pod share its address. */
function sidecarPortFaults(spec: ApplicationSpec, { ports = [] }: ContainerFields, at: string): string[] {
  const flinks = Object.entries(portsOf(spec));
  return ports.flatMap(({ containerPort }, index) => {
    const [taken] = flinks.find(([, port]) => port === containerPort) ?? [];
    if (taken === undefined) return [];
    const field = PORT_FIELDS[taken as keyof typeof PORT_FIELDS];
    return [
      `${at}.ports[${index}].containerPort is ${containerPort}, as is spec.${field}, defaults included: the containers of a pod share its ports, so it must be another.`,
    ];
  });
}
