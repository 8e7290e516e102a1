import type { AttentionSpec, DecoderSpec, MlpSpec } from "../decoder-spec.ts";
import { type BlockRole, idOf } from "../matrix-id.ts";

/** A matrix of the model and its name in a GGUF file of the `llama` architecture. */
export interface LlamaMatrix {
  readonly id: string;
  readonly name: string;
  readonly rows: number;
  readonly cols: number;
  /** Attention heads whose rows change places (see {@link pairedRow}); 0: rows stay in order. */
  readonly pairedHeads: number;
}

/** A norm's weight and its name there. */
export interface LlamaVector {
  readonly id: string;
  readonly name: string;
  readonly length: number;
}

/** A block of the only shape that the architecture has. */
export interface LlamaBlock {
  readonly attention: AttentionSpec;
  readonly mlp: MlpSpec & { readonly gate: NonNullable<MlpSpec["gate"]> };
  readonly eps: number;
}

/** The shape that all blocks share, or why there is none that the architecture has: "what: expected …, found …". */
export type LlamaPlan =
  | { readonly block: LlamaBlock; readonly reasons: readonly [] }
  | { readonly block: null; readonly reasons: readonly string[] };

/** What llama.cpp's `llama` architecture cannot say is never approximated: every such thing is a reason. */
export function llamaPlan(spec: DecoderSpec): LlamaPlan {
  const [first] = spec.blocks;
  if (!first?.attention || !first.mlp?.gate) {
    return { block: null, reasons: ["blocks: expected attention and a gated MLP in each, found other blocks"] };
  }
  const { attention, mlp, attentionNorms, mlpNorms } = first;
  const { gate } = first.mlp;
  const { rope, q, k, v, o } = attention;
  const { eps } = spec.finalNorm;
  const norms = [attentionNorms.pre, mlpNorms.pre, spec.finalNorm];
  const shape = JSON.stringify(first);
  const other = spec.blocks.findIndex((block) => JSON.stringify(block) !== shape);
  const biased = [q, k, v, o, gate, mlp.up, mlp.down].some(({ bias }) => bias) || spec.headBias;
  const post = attentionNorms.post ?? mlpNorms.post;
  const headNorm = attention.qNorm ?? attention.kNorm;
  const kinds = norms.map((norm) => norm?.kind).join(", ");
  const demands: readonly (readonly [what: string, expected: string | number, found: unknown])[] = [
    ["norms", "rms, rms, rms", kinds],
    ["norms after attention and MLP", "none", post?.kind ?? "none"],
    ["eps", "one for all norms", norms.every((norm) => norm?.eps === eps) ? "one for all norms" : "several"],
    ["embedding scale", 1, spec.embeddingScale],
    ["residual factor", 1, first.residualFactor],
    ["logit factor", 1, spec.logitFactor],
    ["residual", "sequential", first.residual],
    ["activation", "silu", mlp.activation],
    ["sliding window", "none", attention.window ?? "none"],
    ["q/k norms", "none", headNorm?.kind ?? "none"],
    ["rotary channels", attention.headDim, rope?.dims],
    ["attention scale", attention.headDim ** -0.5, attention.scale],
    ["biases", "none", biased ? "some" : "none"],
    [`block ${other}`, "the same as block 0", other < 0 ? "the same as block 0" : "another shape"],
  ];
  const reasons = demands
    .filter(([, expected, found]) => expected !== found)
    .map(([what, expected, found]) => `${what}: expected ${expected}, found ${String(found)}`);
  const scaling = rope?.scaling.kind ?? "none";
  if (!SCALINGS.has(scaling)) {
    reasons.push(`rotary scaling: expected none, linear, dynamic or llama3, found ${scaling}`);
  }
  return reasons.length > 0
    ? { block: null, reasons }
    : { block: { attention, mlp: { ...mlp, gate }, eps }, reasons: [] };
}

/** Rotary scalings that a file can say, or that change nothing within the context that it says. */
const SCALINGS: ReadonlySet<string> = new Set(["none", "linear", "dynamic", "llama3"]);

/** Every matrix in the order in which files have them. */
export function llamaMatrices(spec: DecoderSpec, { attention, mlp }: LlamaBlock): LlamaMatrix[] {
  const outer = { rows: spec.vocabSize, cols: spec.hiddenSize, pairedHeads: 0 };
  const { heads, kvHeads } = attention;
  const blocks = spec.blocks.flatMap((_, i) => {
    const matrix = (
      role: BlockRole,
      name: string,
      { rows, cols }: { rows: number; cols: number },
      pairedHeads = 0,
    ) => ({
      id: idOf(i, role),
      name: `blk.${i}.${name}.weight`,
      rows,
      cols,
      pairedHeads,
    });
    return [
      matrix("attn.q", "attn_q", attention.q, heads),
      matrix("attn.k", "attn_k", attention.k, kvHeads),
      matrix("attn.v", "attn_v", attention.v),
      matrix("attn.o", "attn_output", attention.o),
      matrix("mlp.gate", "ffn_gate", mlp.gate),
      matrix("mlp.up", "ffn_up", mlp.up),
      matrix("mlp.down", "ffn_down", mlp.down),
    ];
  });
  const head = spec.tied ? [] : [{ ...outer, id: "head", name: "output.weight" }];
  return [{ ...outer, id: "embedding", name: "token_embd.weight" }, ...blocks, ...head];
}

/** Every norm's weight. */
export function llamaVectors(spec: DecoderSpec): LlamaVector[] {
  const length = spec.hiddenSize;
  const blocks = spec.blocks.flatMap((_, i) => [
    { id: idOf(i, "attn.norm.weight"), name: `blk.${i}.attn_norm.weight`, length },
    { id: idOf(i, "mlp.norm.weight"), name: `blk.${i}.ffn_norm.weight`, length },
  ]);
  return [...blocks, { id: "finalNorm.weight", name: "output_norm.weight", length }];
}

/**
 * Row of our matrix that is row `row` of the file's q or k. llama.cpp rotates neighbouring channels of this
 * architecture, we the two halves of a head: channel 2j of a head there is channel j here, channel 2j + 1 channel j +
 * headDim/2.
 */
export function pairedRow(row: number, headDim: number): number {
  const channel = row % headDim;
  return row - channel + (channel % 2) * (headDim / 2) + Math.floor(channel / 2);
}
