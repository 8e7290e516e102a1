import { codecForm } from "../native/codec-form.ts";
import type { NativeOffline } from "../native/offline-maths.ts";
import type { Maths } from "./maths.ts";
import { emptyComparison, emptySummaries, type RowComparer } from "./row-comparison.ts";

/** Columns between updates of the rest of a row: enough for whole cache lines, few enough to stay in the cache. */
const GPTQ_BLOCK_COLS = 128;

/** The maths on the threads of an engine, given by its `offline`; the engine stays the caller's to dispose of. */
export function nativeMaths(offline: NativeOffline): Maths {
  return {
    accumulateGram: (x, rows, cols, factor, h) => offline.accumulateGram(x, rows, cols, factor, h),
    inverseUpperFactor: (h, n) => offline.inverseUpperFactor(h, n),
    searchScales: (options) => offline.searchScales(options),
    gptq: (options) => offline.gptq({ ...options, blockCols: GPTQ_BLOCK_COLS }),
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
