import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "../errors.ts";
import { TOOL_VERSION } from "../version.ts";
import type { NativeAddon, NativeEngine } from "./addon.ts";
import { proveBinary } from "./prove-binary.ts";

/** The addon and its file, or one sentence on why there is none. */
export type NativeLoad =
  | { readonly addon: NativeAddon; readonly file: string }
  | { readonly addon: null; readonly reason: string };

/** Where sources, build/ and prebuilds/ are, seen from src/native/ and from dist/native/ alike. */
const NATIVE_FOLDER = fileURLToPath(new URL("../../src/native/", import.meta.url));
const BUILT_FILE = path.join(NATIVE_FOLDER, "build", "Release", "layerwise_native.node");
/** scripts/build-native.mjs leaves one line here when it could not build. */
const FAILURE_FILE = path.join(NATIVE_FOLDER, "build", "failure.txt");

const require = createRequire(import.meta.url);

/** Loaded once a process: an addon cannot be loaded twice, and asking again must cost nothing. */
let loaded: NativeLoad | undefined;

/**
 * Loads the native addon: the one built here, else a prebuilt one. `LAYERWISE_NATIVE=off` switches it off,
 * `LAYERWISE_NATIVE=<file>` names another binary. Never throws.
 */
export function loadNative(): NativeLoad {
  loaded ??= load(process.env.LAYERWISE_NATIVE ?? "");
  return loaded;
}

/**
 * An engine with the fastest instruction set that this machine runs, or the one asked for, and with as many threads as
 * there are physical cores. Throws UserError EXECUTOR without an addon, ISA where the instruction set is unknown or
 * absent.
 */
export function openEngine(options: { isa?: string | undefined; threads?: number | undefined } = {}): NativeEngine {
  const native = loadNative();
  if (!native.addon) {
    throw new UserError("EXECUTOR", `native engine: expected an addon, found none: ${native.reason}`, BUILD_HINT);
  }
  const { addon } = native;
  return addon.createEngine({
    isa: chooseIsa(addon, options.isa),
    threads: checkedThreads(options.threads ?? addon.physicalCores),
  });
}

const BUILD_HINT = "build it with npm run build:native, or use --executor tfjs";
const MAX_THREADS = 1024;

/** The name of a table that runs here. */
function chooseIsa({ isas }: NativeAddon, wanted: string | undefined): string {
  const available = isas.filter(({ unavailable }) => unavailable === null).map(({ name }) => name);
  if (wanted === undefined) return available[available.length - 1];
  if (available.includes(wanted)) return wanted;
  const known = isas.find(({ name }) => name === wanted);
  const problem = known?.unavailable ?? "no such instruction set in this build";
  throw new UserError(
    "ISA",
    `isa: expected one of ${available.join(", ")}, found ${wanted}: ${problem}`,
    "leave --isa out for the fastest of them",
  );
}

function checkedThreads(threads: number): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS) return threads;
  throw new UserError("THREADS", `threads: expected a whole number from 1 to ${MAX_THREADS}, found ${threads}`);
}

function load(setting: string): NativeLoad {
  if (setting === "off") return { addon: null, reason: "it is switched off by LAYERWISE_NATIVE=off" };
  const binary = setting === "" ? findBinary() : path.resolve(setting);
  if (binary === null) return { addon: null, reason: whyNotBuilt() };
  const problem = proveBinary(binary);
  if (problem !== null)
    return { addon: null, reason: `${binary}: ${problem}; build it anew with npm run build:native` };
  try {
    const addon: NativeAddon = require(binary);
    return addon.version === TOOL_VERSION
      ? { addon, file: binary }
      : { addon: null, reason: otherVersion(binary, addon.version) };
  } catch (error) {
    return { addon: null, reason: `${binary} cannot be loaded: ${firstLine(error)}` };
  }
}

/** The one built here, else the prebuilt one that node-gyp-build chooses for this platform; asking that takes 10 ms. */
function findBinary(): string | null {
  if (existsSync(BUILT_FILE)) return BUILT_FILE;
  const finder: { resolve(folder: string): string } = require("node-gyp-build");
  try {
    return finder.resolve(NATIVE_FOLDER);
  } catch {
    return null;
  }
}

function whyNotBuilt(): string {
  const platform = `${process.platform} ${process.arch}`;
  try {
    return `it could not be built: ${readFileSync(FAILURE_FILE, "utf8").trim()}`;
  } catch {
    return `it is not built and there is no prebuilt one for ${platform}: run npm run build:native (needs a C++ compiler)`;
  }
}

function otherVersion(binary: string, version: unknown): string {
  return `${binary} was built for version ${version}, this is ${TOOL_VERSION}: run npm run build:native`;
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0];
}
