import type { NativeEngine, NativeMatrix } from "../native/addon.ts";
import { codecForm } from "../native/codec-form.ts";
import type { NativeOffline } from "../native/offline-maths.ts";
import type { Maths, PackedOperand } from "./maths.ts";
import { emptyComparison, emptySummaries, type RowComparer } from "./row-comparison.ts";

/** Columns between updates of the rest of a row: enough for whole cache lines, few enough to stay in the cache. */
const GPTQ_BLOCK_COLS = 128;

/** The maths on the threads of an engine, which stays the caller's to dispose of. */
export function nativeMaths(engine: NativeEngine): Maths {
  const { offline } = engine;
  return {
    accumulateGram: (x, rows, cols, factor, h) => offline.accumulateGram(x, rows, cols, factor, h),
    multiply: (options) => offline.multiply(options),
    multiplyPacked: async (w, x, y) => engine.product(nativeOperand(w), x, y),
    multiplyPackedTransposed: async (w, dy, dx) => engine.productTransposed(nativeOperand(w), dy, dx),
    inverseUpperFactor: (h, n) => offline.inverseUpperFactor(h, n),
    searchScales: (options) => offline.searchScales(options),
    gptq: ({ kept, ...options }) =>
      offline.gptq({ ...options, keptCount: kept?.count ?? 0, keptOf: kept?.of ?? 0, blockCols: GPTQ_BLOCK_COLS }),
    refine: (options) => offline.refine(options),
    takeGroups: (options) =>
      offline.takeGroups({ ...options, cols: options.order.length, count: options.taken.length }),
    hessianError: (options) => offline.hessianError(options),
    rowComparer: () => nativeComparer(offline),
    async pack(codec, numbers) {
      const bytes = new Uint8Array(codec.packedBytes(numbers.rows, numbers.cols));
      await offline.pack(codecForm(codec), numbers, bytes);
      return bytes;
    },
  };
}

function nativeOperand({ codec, rows, cols, bytes }: PackedOperand): NativeMatrix {
  return { ...codecForm(codec), rows, cols, bytes };
}

function nativeComparer(offline: NativeOffline): RowComparer {
  return {
    async summarize(logits, rows) {
      const summaries = emptySummaries(rows);
      await offline.compareRows({ logits, rows, vocab: logits.length / rows, ...summaries });
      return summaries;
    },
    against: (reference, rows) => async (logits) => {
      const found = emptyComparison(rows);
      await offline.compareRows({
        logits,
        rows,
        vocab: logits.length / rows,
        logSumExps: found.logSumExps,
        argmaxes: found.argmaxes,
        reference,
        referenceLogSumExps: found.reference.logSumExps,
        referenceArgmaxes: found.reference.argmaxes,
        divergences: found.divergences,
        ranks: found.ranks,
      });
      return found;
    },
  };
}
