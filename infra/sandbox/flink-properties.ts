// The configuration of a Flink process, as its image's entrypoint makes it from the environment. PURE.

export type FlinkProperties = Readonly<Record<string, string>>;

/** "key: value" lines; the last of two equal keys wins. "$HOST_IP" and its like are filled in. */
export function flinkProperties(env: Readonly<Record<string, string>>): FlinkProperties {
  const text = env.FLINK_PROPERTIES ?? env.OPERATOR_FLINK_CONFIG ?? '';
  const entries = text.split('\n').flatMap((line) => {
    const [, key, value] = /^([^\s:#]+):\s*(.*?)\s*$/.exec(line) ?? [];
    return key === undefined || value === undefined ? [] : [[key, unquoted(filledIn(value, env))]];
  });
  return Object.fromEntries(entries);
}

/** Seconds: "30 s", "5min", "1000 ms"; a bare number is milliseconds. Undefined for none, or for what is no duration. */
export function durationSeconds(text: string | undefined): number | undefined {
  const [, amount, unit = 'ms'] = /^(\d+)\s*(ms|s|sec|min|m|h|d)?$/.exec(text?.trim() ?? '') ?? [];
  if (amount === undefined) return undefined;
  const milliseconds = { ms: 1, s: 1000, sec: 1000, min: 60_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? 1;
  return (Number(amount) * milliseconds) / 1000;
}

/** The first of some keys, which Flink has renamed in the course of time. */
export function propertyOf(properties: FlinkProperties, ...keys: readonly string[]): string | undefined {
  const key = keys.find((candidate) => properties[candidate] !== undefined);
  return key === undefined ? undefined : properties[key];
}

function filledIn(value: string, env: Readonly<Record<string, string>>): string {
  return value.replace(/\$\{?([A-Z_][A-Z0-9_]*)\}?/g, (whole, name: string) => env[name] ?? whole);
}

function unquoted(value: string): string {
  return /^(["']).*\1$/.test(value) ? value.slice(1, -1) : value;
}
