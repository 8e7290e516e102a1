import * as tf from "@tensorflow/tfjs-core";
import { codecOf } from "../../codecs/index.ts";
import type { AttentionSpec, LinearSpec, MlpSpec, NormSpec } from "../../model/decoder-spec.ts";
import { type BlockRole, idOf, type NormPart } from "../../model/matrix-id.ts";
import type { Matrix, WeightSource } from "../../model/weight-source.ts";
import type {
  AttentionWeights,
  BlockWeights,
  ExecutedMatrix,
  LinearWeights,
  MlpWeights,
  NormWeights,
} from "./block-weights.ts";
import { TensorSet } from "./tensor-set.ts";

/** Weights of a block, and the tensors among them. */
export interface LoadedBlock {
  readonly weights: BlockWeights;
  readonly tensors: TensorSet;
  /** Every matrix is packed: keeping the block costs no more than the source does. */
  readonly packed: boolean;
}

/** What the functions below share. */
interface Loading {
  readonly source: WeightSource;
  readonly block: number;
  /** Turn packed matrices into dense tensors. */
  readonly expand: boolean;
  readonly tensors: TensorSet;
}

/** Reads the weights of one block; with `expand` packed matrices become dense tensors. */
export async function loadBlock(source: WeightSource, block: number, expand: boolean): Promise<LoadedBlock> {
  const spec = source.spec.blocks[block];
  const tensors = new TensorSet();
  const loading: Loading = { source, block, expand, tensors };
  try {
    const weights: BlockWeights = {
      attentionNorms: {
        pre: await loadBlockNorm(loading, "attn.norm", spec.attentionNorms.pre),
        post: await loadBlockNorm(loading, "attn.postNorm", spec.attentionNorms.post),
      },
      attention: spec.attention && (await loadAttention(loading, spec.attention)),
      mlpNorms: {
        pre: await loadBlockNorm(loading, "mlp.norm", spec.mlpNorms.pre),
        post: await loadBlockNorm(loading, "mlp.postNorm", spec.mlpNorms.post),
      },
      mlp: spec.mlp && (await loadMlp(loading, spec.mlp)),
    };
    return { weights, tensors, packed: matricesIn(weights).every((matrix) => "kind" in matrix) };
  } catch (error) {
    tensors.dispose();
    throw error;
  }
}

/** Reads a norm's weight and, for layer norm, bias; null where there is no norm. */
async function loadNorm(
  source: WeightSource,
  id: string,
  spec: NormSpec | null,
  tensors: TensorSet,
): Promise<NormWeights | null> {
  if (!spec) return null;
  const vector = async (part: string) => tensors.add(tf.tensor1d(await source.readVector(`${id}.${part}`)));
  return { weight: await vector("weight"), bias: spec.kind === "layer" ? await vector("bias") : null };
}

/** A matrix as a tensor in [in, out] orientation. */
export function denseTensor(matrix: Matrix): tf.Tensor2D {
  if (matrix.kind === "packed") {
    return tf.tensor2d(codecOf(matrix.codec).unpackTransposed(matrix, 0, matrix.rows), [matrix.cols, matrix.rows]);
  }
  return tf.tidy(() => tf.transpose(tf.tensor2d(matrix.data, [matrix.rows, matrix.cols])));
}

async function loadAttention(loading: Loading, spec: AttentionSpec): Promise<AttentionWeights> {
  const { q, k, v, o } = spec;
  return {
    qkv: await loadLinear(loading, { "attn.q": q, "attn.k": k, "attn.v": v }),
    qNorm: await loadBlockNorm(loading, "attn.qNorm", spec.qNorm),
    kNorm: await loadBlockNorm(loading, "attn.kNorm", spec.kNorm),
    o: await loadLinear(loading, { "attn.o": o }),
  };
}

async function loadMlp(loading: Loading, { gate, up, down }: MlpSpec): Promise<MlpWeights> {
  return {
    input: await loadLinear(loading, gate ? { "mlp.gate": gate, "mlp.up": up } : { "mlp.up": up }),
    down: await loadLinear(loading, { "mlp.down": down }),
  };
}

function loadBlockNorm({ source, block, tensors }: Loading, part: NormPart, spec: NormSpec | null) {
  return loadNorm(source, idOf(block, part), spec, tensors);
}

/** Matrices that share their input; dense ones are laid side by side in one tensor, so that they take one product. */
async function loadLinear(loading: Loading, linears: { [role in BlockRole]?: LinearSpec }): Promise<LinearWeights> {
  const { source, block, expand, tensors } = loading;
  const matrices: ExecutedMatrix[] = [];
  for (const role of Object.keys(linears)) {
    const matrix = await source.readMatrix(idOf(block, role));
    matrices.push(matrix.kind === "packed" && !expand ? matrix : tensors.add(denseTensor(matrix)));
  }
  const bias = await loadBias(loading, linears);
  const dense = matrices.filter((matrix) => matrix instanceof tf.Tensor);
  if (dense.length < 2 || dense.length < matrices.length) return { matrices, bias };
  const joined = tensors.add(tf.concat2d(dense, 1));
  for (const part of dense) part.dispose();
  return { matrices: [joined], bias };
}

/** The biases side by side, zeros for a matrix without one; null where none has one. */
async function loadBias({ source, block, tensors }: Loading, linears: { [role in BlockRole]?: LinearSpec }) {
  const entries = Object.entries(linears);
  if (!entries.some(([, linear]) => linear.bias)) return null;
  const bias = new Float32Array(entries.reduce((sum, [, linear]) => sum + linear.rows, 0));
  let offset = 0;
  for (const [role, linear] of entries) {
    if (linear.bias) bias.set(await source.readVector(idOf(block, `${role}.bias`)), offset);
    offset += linear.rows;
  }
  return tensors.add(tf.tensor1d(bias));
}

function matricesIn({ attention, mlp }: BlockWeights): ExecutedMatrix[] {
  return [attention?.qkv, attention?.o, mlp?.input, mlp?.down].flatMap((linear) => linear?.matrices ?? []);
}
