import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import type { NativeMatrix, NativeMlp } from "../../../src/native/addon.ts";
import { ADDON_FILE, ADDON_STATE, HAS_ADDON, ISAS, type Numbers, sameBits } from "../engines.ts";

/** Single kernels of a table, on the calling thread. */
export interface NativeKernels {
  /** Levels [chunk][row][32], scales and sums [chunk][row]. */
  quantizeRows(
    x: Float32Array,
    rows: number,
    cols: number,
  ): { levels: Int8Array; scales: Float32Array; sums: Int32Array };
  unpackRow(w: NativeMatrix, row: number): Float32Array;
  rmsNorm(x: Float32Array, weight: Float32Array, eps: number): Float32Array;
  layerNorm(x: Float32Array, weight: Float32Array, bias: Float32Array, eps: number): Float32Array;
  rotate(x: Float32Array, cos: Float32Array, sin: Float32Array): Float32Array;
  activate(kind: NativeMlp["activation"], x: Float32Array): Float32Array;
  activateGated(kind: NativeMlp["activation"], gate: Float32Array, up: Float32Array): Float32Array;
  toF16(x: Float32Array): Uint16Array;
  fromF16(x: Uint16Array): Float32Array;
  /**
   * Attention of `queries` [count, headDim] over keys and values [positions, headDim] of one head, stored as `kvType`;
   * query i sees [visibleFrom[i], visibleTo[i]). Pages of 64 from position 0. Returns [count, headDim].
   */
  attend(options: {
    kvType: "f32" | "f16" | "q8";
    headDim: number;
    queries: Float32Array;
    keys: Float32Array;
    values: Float32Array;
    visibleFrom: Int32Array;
    visibleTo: Int32Array;
  }): Float32Array;
}

/** Built beside the addon (see binding.gyp); a prebuilt one comes without. */
const FILE = path.join(path.dirname(ADDON_FILE), "layerwise_kernels.node");

/** False where the addon of test/native/addon is missing: the tests of single kernels are then skipped. */
export const HAS_KERNELS: boolean = HAS_ADDON && existsSync(FILE);
/** The name of a skipped suite says why. */
export const KERNELS_STATE: string =
  HAS_KERNELS || !HAS_ADDON ? ADDON_STATE : "native addon: skipped, layerwise_kernels.node is not beside it";

const tables = new Map<string, NativeKernels>();

/** The kernels of a table of this machine. */
export function kernelsOf(isa: string): NativeKernels {
  const found: NativeKernels = tables.get(isa) ?? createRequire(import.meta.url)(FILE).kernelsOf(isa);
  tables.set(isa, found);
  return found;
}

/** Runs on every table of this machine, demands the same bits of all, and returns them. */
export function onEveryTable<T extends Numbers>(run: (kernels: NativeKernels) => T): T {
  return sameBits(ISAS.map((isa) => run(kernelsOf(isa))));
}
