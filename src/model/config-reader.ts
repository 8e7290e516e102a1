import { UserError } from "../errors.ts";

/** Largest count of anything in a config: no real model comes near. */
export const MAX_COUNT = 2 ** 28;

/** Bounds of a config's positive numbers: in f32, in which executors compute, they and 1 / them are normal numbers. */
const [MIN_POSITIVE, MAX_POSITIVE] = [2 ** -126, 2 ** 126];
const BOUNDS = `from ${MIN_POSITIVE.toPrecision(3)} to ${MAX_POSITIVE.toPrecision(3)}`;

/**
 * Typed access to the fields of one JSON object of a checkpoint's `config.json`. A field that is null counts as absent.
 * Every wrong type or impossible value is a UserError `<label>/config.json: <field>: expected …, found …`.
 */
export interface ConfigReader {
  /** Folder of the checkpoint, for messages. */
  readonly label: string;
  /** Fields that were asked for so far. */
  readonly asked: ReadonlySet<string>;
  /** Names of all fields present. */
  readonly keys: readonly string[];
  /** The raw value, undefined where absent or null. */
  raw(key: string): unknown;
  /** An integer from 1 to 2^28; required where no fallback is given. */
  count(key: string, fallback?: number): number;
  /** A number from 2^-126 to 2^126; required where no fallback is given. */
  positive(key: string, fallback?: number): number;
  flag(key: string, fallback: boolean): boolean;
  text(key: string): string;
  /** Token ids: a number, a list of numbers, or absent ([]). Each is below `limit`. */
  ids(key: string, limit: number): number[];
  /** Numbers as of `positive`. */
  positives(key: string): number[];
  /** A nested object, or null where absent. Its field names are reported with this key before them. */
  section(key: string): ConfigReader | null;
  /** Throws the UserError for this field. */
  refuse(key: string, expected: string, hint?: string): never;
}

/** Opens a parsed `config.json`; throws a UserError where it is not an object. */
export function readConfig(config: unknown, label: string): ConfigReader {
  if (!isRecord(config)) {
    throw new UserError(
      "CONFIG",
      `${label}/config.json: expected a JSON object, found ${shown(config)}`,
      "Point at the folder of a Hugging Face checkpoint.",
    );
  }
  return readerOf(config, label, "");
}

function readerOf(object: Record<string, unknown>, label: string, path: string): ConfigReader {
  const asked = new Set<string>();

  const raw = (key: string): unknown => {
    asked.add(key);
    return Object.hasOwn(object, key) ? (object[key] ?? undefined) : undefined;
  };
  const refuse = (key: string, expected: string, hint?: string): never => {
    const found = Object.hasOwn(object, key) ? shown(object[key]) : "nothing";
    throw new UserError("CONFIG", `${label}/config.json: ${path}${key}: expected ${expected}, found ${found}`, hint);
  };
  const numberOf = (key: string, accepts: (x: number) => boolean, expected: string, fallback?: number): number => {
    const value = raw(key) ?? fallback;
    return typeof value === "number" && accepts(value) ? value : refuse(key, expected);
  };
  const listOf = (key: string, value: unknown, accepts: (x: number) => boolean, expected: string): number[] => {
    if (!Array.isArray(value)) return refuse(key, expected);
    return value.map((x: unknown) => (typeof x === "number" && accepts(x) ? x : refuse(key, expected)));
  };

  return {
    label,
    asked,
    keys: Object.keys(object),
    raw,
    refuse,
    count: (key, fallback) => numberOf(key, isCount, `an integer from 1 to ${MAX_COUNT}`, fallback),
    positive: (key, fallback) => numberOf(key, isPositive, `a number ${BOUNDS}`, fallback),
    flag: (key, fallback) => {
      const value = raw(key) ?? fallback;
      return typeof value === "boolean" ? value : refuse(key, "true or false");
    },
    text: (key) => {
      const value = raw(key);
      return typeof value === "string" ? value : refuse(key, "a string");
    },
    ids: (key, limit) => {
      const value = raw(key) ?? [];
      const isId = (x: number) => Number.isInteger(x) && x >= 0 && x < limit;
      return listOf(key, Array.isArray(value) ? value : [value], isId, `token ids from 0 to ${limit - 1}`);
    },
    positives: (key) => listOf(key, raw(key), isPositive, `a list of numbers ${BOUNDS}`),
    section: (key) => {
      const value = raw(key);
      if (value === undefined) return null;
      return isRecord(value) ? readerOf(value, label, `${path}${key}.`) : refuse(key, "an object or null");
    },
  };
}

function isCount(x: number): boolean {
  return Number.isInteger(x) && x > 0 && x <= MAX_COUNT;
}

function isPositive(x: number): boolean {
  return x >= MIN_POSITIVE && x <= MAX_POSITIVE;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as it stands in the file, cut to one short line. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
