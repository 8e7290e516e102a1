import type { Maths } from "../maths.ts";
import { gptqUpdate } from "./gptq-update.ts";
import { hessianError } from "./hessian-error.ts";
import { accumulateGram, inverseUpperFactor } from "./linear-algebra.ts";
import { multiply, multiplyPacked, multiplyPackedTransposed } from "./multiply.ts";
import { refine } from "./refine.ts";
import { plainComparer } from "./row-comparer.ts";
import { searchScales } from "./search-scales.ts";
import { takeGroups } from "./take-groups.ts";

/**
 * The maths in TypeScript, on the caller's thread: what runs where there is no addon. Each call ends before it returns.
 */
export const plainMaths: Maths = {
  accumulateGram: async (...of) => accumulateGram(...of),
  multiply: async (options) => multiply(options),
  multiplyPacked: async (...of) => multiplyPacked(...of),
  multiplyPackedTransposed: async (...of) => multiplyPackedTransposed(...of),
  inverseUpperFactor: async (h, n) => inverseUpperFactor(h, n),
  searchScales: async (options) => searchScales(options),
  gptq: async (options) => gptqUpdate(options),
  refine: async (options) => refine(options),
  takeGroups: async (options) => takeGroups(options),
  hessianError: async (options) => hessianError(options),
  rowComparer: plainComparer,
  pack: async (codec, numbers) => codec.pack(numbers),
};
