import { UserError } from "../../errors.ts";
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

/**
 * The shape that all blocks share. Throws UserError GGUF naming what llama.cpp's `llama` architecture cannot say: it is
 * never approximated.
 */
export function llamaBlock(spec: DecoderSpec, label: string): LlamaBlock {
  const refuse = (what: string, expected: string, found: unknown) =>
    new UserError(
      "GGUF",
      `${label}: ${what}: expected ${expected}, found ${String(found)}`,
      "only models of the Llama plan can be written as GGUF",
    );
  const [first] = spec.blocks;
  if (!first?.attention || !first.mlp?.gate)
    throw refuse("blocks", "attention and a gated MLP in each", "other blocks");
  const { attention, mlp } = first;
  const gate = first.mlp.gate;
  const { rope } = attention;
  const eps = spec.finalNorm.eps;
  const { attentionNorms, mlpNorms } = first;
  const kinds = [attentionNorms.pre, mlpNorms.pre, spec.finalNorm].map((norm) => norm?.kind);
  if (kinds.some((kind) => kind !== "rms")) throw refuse("norms", "rms, rms, rms", kinds.join(", "));
  const post = attentionNorms.post ?? mlpNorms.post;
  if (post) throw refuse("norms after attention and MLP", "none", post.kind);
  if (spec.embeddingScale !== 1) throw refuse("embedding scale", "1", spec.embeddingScale);
  if (first.residualFactor !== 1) throw refuse("residual factor", "1", first.residualFactor);
  if (spec.logitFactor !== 1) throw refuse("logit factor", "1", spec.logitFactor);
  if (first.residual !== "sequential") throw refuse("residual", "sequential", first.residual);
  if (mlp.activation !== "silu") throw refuse("activation", "silu", mlp.activation);
  if (attention.window !== null) throw refuse("sliding window", "none", attention.window);
  const headNorm = attention.qNorm ?? attention.kNorm;
  if (headNorm) throw refuse("q/k norms", "none", headNorm.kind);
  if (!rope || rope.dims !== attention.headDim)
    throw refuse("rotary channels", attention.headDim.toString(), rope?.dims);
  if (rope.scaling.kind === "longrope" || rope.scaling.kind === "yarn")
    throw refuse("rotary scaling", "none, linear, dynamic or llama3", rope.scaling.kind);
  if (attention.scale !== attention.headDim ** -0.5)
    throw refuse("attention scale", "1 / sqrt(head size)", attention.scale);
  const { q, k, v, o } = attention;
  if ([q, k, v, o, gate, mlp.up, mlp.down].some(({ bias }) => bias) || spec.headBias)
    throw refuse("biases", "none", "some");
  if (attentionNorms.pre?.eps !== eps || mlpNorms.pre?.eps !== eps) throw refuse("eps", "one for all norms", "several");
  const shape = JSON.stringify(first);
  const other = spec.blocks.findIndex((block) => JSON.stringify(block) !== shape);
  if (other >= 0) throw refuse(`block ${other}`, "the same as block 0", "another shape");
  return { attention, mlp: { ...mlp, gate }, eps };
}

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
