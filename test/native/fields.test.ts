import { describe, expect, it } from "vitest";
import type {
  NativeAttention,
  NativeBlock,
  NativeCapture,
  NativeHead,
  NativeHeadAdapter,
  NativeHeadRun,
  NativeLinear,
  NativeLowRank,
  NativeMlp,
  NativeNorm,
  NativePass,
  NativeRope,
  NativeSpan,
} from "../../src/native/addon.ts";
import type { NativeCodecForm } from "../../src/native/codec-form.ts";
import type { NativeOffline } from "../../src/native/offline-maths.ts";
import type { NativeStreamedPart } from "../../src/native/streamed-parts.ts";
import { ADDON_STATE, HAS_ADDON, theAddon } from "./engines.ts";

/** Every field of a type, once: the compiler refuses a record that lacks one or has another. */
type FieldsOf<T> = Readonly<Record<keyof T, true>>;
type OptionsOf<Method extends keyof NativeOffline> = FieldsOf<Parameters<NativeOffline[Method]>[0]>;

const codecForm: FieldsOf<NativeCodecForm> = {
  ...{ kind: true, asymmetric: true, group: true, table: true, twoLevel: true, keptCount: true, keptOf: true },
};
const linear: FieldsOf<NativeLinear> = { matrix: true, bias: true };
const norm: FieldsOf<NativeNorm> = { kind: true, eps: true, weight: true, bias: true };
const rope: FieldsOf<NativeRope> = {
  dims: true,
  inverseFrequencies: true,
  longInverseFrequencies: true,
  originalMaxPositions: true,
  attentionFactor: true,
};
const attention: FieldsOf<NativeAttention> = {
  ...{ heads: true, kvHeads: true, headDim: true, scale: true, window: true, rope: true, qNorm: true, kNorm: true },
  ...{ q: true, k: true, v: true, o: true },
};
const mlp: FieldsOf<NativeMlp> = { activation: true, gate: true, up: true, down: true };
const block: FieldsOf<NativeBlock> = {
  ...{ parallel: true, residualFactor: true, attentionNorm: true, attentionPostNorm: true, attention: true },
  ...{ mlpNorm: true, mlpPostNorm: true, mlp: true, part: true },
};
const headAdapter: FieldsOf<NativeHeadAdapter> = { down: true, up: true };
const head: FieldsOf<NativeHead> = { norm: true, adapter: true, linear: true, tail: true, part: true };
const lowRank: FieldsOf<NativeLowRank> = { a: true, b: true, factor: true };
const pass: FieldsOf<NativePass> = {
  ...{ input: true, output: true, rows: true, from: true, to: true, spans: true },
  ...{ skipAttention: true, skipMlp: true, adapter: true, capture: true },
};
const span: FieldsOf<NativeSpan> = { cache: true, position: true, count: true };
const capture: FieldsOf<NativeCapture> = { attention: true, output: true, mlp: true, down: true };
const streamedPart: FieldsOf<NativeStreamedPart> = { file: true, offset: true, bytes: true, buffer: true };
const headRun: FieldsOf<NativeHeadRun> = { input: true, rows: true, head: true, norm: true };

const multiply: OptionsOf<"multiply"> = {
  ...{ a: true, b: true, c: true, rows: true, cols: true, depth: true, transposedA: true, transposedB: true },
  ...{ accumulate: true, strideA: true, strideB: true, strideC: true },
};
const gptq: OptionsOf<"gptq"> = {
  ...{ w: true, rows: true, cols: true, u: true, bits: true, levels: true, group: true },
  ...{ scales: true, minima: true, order: true, keptCount: true, keptOf: true, blockCols: true, codes: true },
};
const searchScales: OptionsOf<"searchScales"> = {
  ...{ w: true, rows: true, cols: true, weights: true, bits: true, levels: true, group: true, asymmetric: true },
  ...{ twoLevel: true, rowScales: true, rowMinima: true, codes: true, scales: true, minima: true },
};
const refine: OptionsOf<"refine"> = {
  ...{ w: true, rows: true, cols: true, bits: true, levels: true, group: true, gram: true, damping: true },
  ...{ passes: true, rowScales: true, rowMinima: true, zerosStay: true, scales: true, minima: true, codes: true },
};
const takeGroups: OptionsOf<"takeGroups"> = {
  ...{ weights: true, rows: true, cols: true, size: true, factor: true, order: true, damping: true },
  ...{ count: true, taken: true, costs: true },
};
const hessianError: OptionsOf<"hessianError"> = { w: true, values: true, gram: true, rows: true, cols: true };
const compareRows: OptionsOf<"compareRows"> = {
  ...{ logits: true, rows: true, vocab: true, logSumExps: true, argmaxes: true, reference: true },
  ...{ referenceLogSumExps: true, referenceArgmaxes: true, divergences: true, ranks: true },
};
const pack: FieldsOf<Parameters<NativeOffline["pack"]>[1]> = {
  ...{
    rows: true,
    cols: true,
    values: true,
    codes: true,
    scales: true,
    minima: true,
    rowScales: true,
    rowMinima: true,
  },
};

const TYPES = {
  NativeCodecForm: codecForm,
  NativeLinear: linear,
  NativeNorm: norm,
  NativeRope: rope,
  NativeAttention: attention,
  NativeMlp: mlp,
  NativeBlock: block,
  NativeHeadAdapter: headAdapter,
  NativeHead: head,
  NativeLowRank: lowRank,
  NativePass: pass,
  NativeSpan: span,
  NativeCapture: capture,
  NativeHeadRun: headRun,
  NativeStreamedPart: streamedPart,
  ...{ multiply, gptq, searchScales, refine, takeGroups, hessianError, compareRows, pack },
};

describe.skipIf(!HAS_ADDON)(`fields that the ${ADDON_STATE} reads`, () => {
  it("are those of the types in TypeScript, every one", () => {
    const read = Object.entries(theAddon().fields).map(([type, names]) => [type, names.toSorted()]);
    const typed = Object.entries(TYPES).map(([type, fields]) => [type, Object.keys(fields).toSorted()]);
    expect(Object.fromEntries(read)).toEqual(Object.fromEntries(typed));
  });
});
