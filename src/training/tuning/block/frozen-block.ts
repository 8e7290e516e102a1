import type { Codec } from "../../../codecs/codec.ts";
import { CODECS, codecOf } from "../../../codecs/index.ts";
import type { PackedOperand } from "../../../maths/maths.ts";
import { type BlockSpec, linearsOf, type NormSpec } from "../../../model/decoder-spec.ts";
import { type BlockRole, idOf, type NormPart } from "../../../model/matrix-id.ts";
import type { Matrix, WeightSource } from "../../../model/weight-source.ts";
import { aligned } from "../../../native/aligned.ts";
import { losslessKind } from "../../../runtime/native/lossless-kind.ts";

/** A norm with its numbers. */
export interface FrozenNorm {
  readonly spec: NormSpec;
  /** [size] */
  readonly weight: Float32Array;
  /** [size]; null for root-mean-square norms. */
  readonly bias: Float32Array | null;
}

/** A matrix with its bias. */
export interface FrozenLinear {
  readonly operand: PackedOperand;
  /** [rows] */
  readonly bias: Float32Array | null;
}

/** Weights of one block, as stored: nothing of them is learned. */
export interface FrozenBlock {
  readonly spec: BlockSpec;
  readonly linears: ReadonlyMap<BlockRole, FrozenLinear>;
  readonly norms: Readonly<Record<NormPart, FrozenNorm | null>>;
}

/** Reads a block: packed matrices stay packed and lie where they are, dense ones are packed without loss. */
export async function loadFrozenBlock(source: WeightSource, block: number): Promise<FrozenBlock> {
  const spec = source.spec.blocks[block];
  const linears = new Map<BlockRole, FrozenLinear>();
  for (const { role, linear } of linearsOf(spec)) {
    const bias = linear.bias ? await source.readVector(idOf(block, `${role}.bias`)) : null;
    linears.set(role, { operand: packedOperand(await source.readMatrix(idOf(block, role))), bias });
  }
  const norm = async (part: NormPart, found: NormSpec | null | undefined): Promise<FrozenNorm | null> => {
    if (!found) return null;
    const read = (of: string) => source.readVector(`${idOf(block, part)}.${of}`);
    return { spec: found, weight: await read("weight"), bias: found.kind === "layer" ? await read("bias") : null };
  };
  const norms = {
    "attn.norm": await norm("attn.norm", spec.attentionNorms.pre),
    "attn.qNorm": await norm("attn.qNorm", spec.attention?.qNorm),
    "attn.kNorm": await norm("attn.kNorm", spec.attention?.kNorm),
    "attn.postNorm": await norm("attn.postNorm", spec.attentionNorms.post),
    "mlp.norm": await norm("mlp.norm", spec.mlpNorms.pre),
    "mlp.postNorm": await norm("mlp.postNorm", spec.mlpNorms.post),
  };
  return { spec, linears, norms };
}

/** A matrix as the maths multiply with it; a dense one in the smallest float kind that holds its numbers. */
export function packedOperand(matrix: Matrix): PackedOperand {
  const { rows, cols } = matrix;
  if (matrix.kind === "packed") return { codec: codecOf(matrix.codec), rows, cols, bytes: aligned(matrix.bytes) };
  const codec: Codec = CODECS[losslessKind(matrix.data)];
  const bytes = codec.pack({ kind: "float", rows, cols, values: matrix.data });
  return { codec, rows, cols, bytes: aligned(bytes) };
}
