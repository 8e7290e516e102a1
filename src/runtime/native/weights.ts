import { CODECS } from "../../codecs/index.ts";
import type { AttentionSpec, LinearSpec, MlpSpec, NormSpec } from "../../model/decoder-spec.ts";
import { type BlockRole, idOf, type NormPart } from "../../model/matrix-id.ts";
import { ropeInverseFrequencies } from "../../model/rope.ts";
import type { DenseMatrix, Matrix, PackedMatrix, WeightSource } from "../../model/weight-source.ts";
import type {
  NativeAttention,
  NativeBlock,
  NativeLinear,
  NativeMatrix,
  NativeMlp,
  NativeNorm,
  NativeRope,
} from "../../native/addon.ts";
import { aligned, alignedBytes } from "../../native/aligned.ts";
import { codecForm } from "../../native/codec-form.ts";
import { loadNative } from "../../native/load.ts";
import type { NativeOffline } from "../../native/offline-maths.ts";
import type { Arena } from "./arena.ts";
import { type FloatKind, losslessKind } from "./lossless-kind.ts";

/** A block's weights as the engine takes them. */
export interface LoadedBlock {
  readonly weights: NativeBlock;
  /** Every matrix came packed: keeping the block costs no more than the source does. */
  readonly packed: boolean;
}

/** Where a matrix' bytes go that cannot be used where they are: memory of its own, or an arena's. */
export type TakeBytes = Arena | null;

/**
 * Turns weights into the engine's matrices: packed ones are used where they lie, dense ones are packed without loss.
 */
export class WeightLoader {
  private readonly source: WeightSource;
  private readonly offline: NativeOffline;

  constructor(source: WeightSource, offline: NativeOffline) {
    this.source = source;
    this.offline = offline;
  }

  /** One that reads another source. */
  over(source: WeightSource): WeightLoader {
    return new WeightLoader(source, this.offline);
  }

  /**
   * Reads all weights of a block: dense ones are packed into `arena`, packed ones that must be copied go to
   * `packedArena`.
   */
  async block(block: number, arena: TakeBytes, packedArena: TakeBytes): Promise<LoadedBlock> {
    const spec = this.source.spec.blocks[block];
    const loading = new BlockLoading(this, block, { dense: arena, packed: packedArena });
    const weights: NativeBlock = {
      parallel: spec.residual === "parallel",
      residualFactor: spec.residualFactor,
      attentionNorm: await loading.norm("attn.norm", spec.attentionNorms.pre),
      attentionPostNorm: await loading.norm("attn.postNorm", spec.attentionNorms.post),
      attention: spec.attention && (await loading.attention(spec.attention)),
      mlpNorm: await loading.norm("mlp.norm", spec.mlpNorms.pre),
      mlpPostNorm: await loading.norm("mlp.postNorm", spec.mlpNorms.post),
      mlp: spec.mlp && (await loading.mlp(spec.mlp)),
    };
    return { weights, packed: loading.packed };
  }

  readMatrix(id: string): Promise<Matrix> {
    return this.source.readMatrix(id);
  }

  readVector(id: string): Promise<Float32Array> {
    return this.source.readVector(id);
  }

  /** A norm of the source; null where there is none. */
  async norm(id: string, spec: NormSpec | null): Promise<NativeNorm | null> {
    if (!spec) return null;
    const weight = await this.source.readVector(`${id}.weight`);
    return { kind: spec.kind, eps: spec.eps, weight, bias: await this.normBias(id, spec) };
  }

  /** A matrix as the engine takes it; a dense one in the smallest float kind that holds its numbers. */
  async matrix(matrix: Matrix, arena: TakeBytes = null): Promise<NativeMatrix> {
    return matrix.kind === "packed" ? inPlace(matrix, arena) : this.packed(matrix, losslessKind(matrix.data), arena);
  }

  /** A dense matrix in a float kind. */
  async packed(matrix: DenseMatrix, kind: FloatKind, arena: TakeBytes = null): Promise<NativeMatrix> {
    const empty = this.emptyMatrix(matrix.rows, matrix.cols, kind, arena);
    await this.packRows(matrix, kind, empty.bytes);
    return empty;
  }

  /** Memory for a matrix in a float kind. */
  emptyMatrix(rows: number, cols: number, kind: FloatKind, arena: TakeBytes = null): NativeMatrix {
    const length = CODECS[kind].packedBytes(rows, cols);
    return { ...codecForm(CODECS[kind]), rows, cols, bytes: arena ? arena.take(length) : alignedBytes(length) };
  }

  /**
   * Packs rows to the beginning of `out`, and says how many bytes they take: rows of whole tiles may be packed one
   * after another.
   */
  async packRows({ rows, cols, data }: DenseMatrix, kind: FloatKind, out: Uint8Array): Promise<number> {
    const codec = CODECS[kind];
    const length = codec.packedBytes(rows, cols);
    await this.offline.pack(codecForm(codec), { rows, cols, values: data }, out.subarray(0, length));
    return length;
  }

  private async normBias(id: string, { kind }: NormSpec): Promise<Float32Array | null> {
    return kind === "layer" ? this.source.readVector(`${id}.bias`) : null;
  }
}

/** One block being read. */
class BlockLoading {
  packed = true;
  private readonly loader: WeightLoader;
  private readonly block: number;
  private readonly arenas: Readonly<Record<Matrix["kind"], TakeBytes>>;

  constructor(loader: WeightLoader, block: number, arenas: Readonly<Record<Matrix["kind"], TakeBytes>>) {
    this.loader = loader;
    this.block = block;
    this.arenas = arenas;
  }

  norm(part: NormPart, spec: NormSpec | null): Promise<NativeNorm | null> {
    return this.loader.norm(idOf(this.block, part), spec);
  }

  async attention(spec: AttentionSpec): Promise<NativeAttention> {
    const { heads, kvHeads, headDim, scale, window, rope } = spec;
    return {
      ...{ heads, kvHeads, headDim, scale, window: window ?? 0, rope: rope && ropeOf(rope) },
      qNorm: await this.norm("attn.qNorm", spec.qNorm),
      kNorm: await this.norm("attn.kNorm", spec.kNorm),
      q: await this.linear("attn.q", spec.q),
      k: await this.linear("attn.k", spec.k),
      v: await this.linear("attn.v", spec.v),
      o: await this.linear("attn.o", spec.o),
    };
  }

  async mlp({ activation, gate, up, down }: MlpSpec): Promise<NativeMlp> {
    return {
      activation,
      gate: gate && (await this.linear("mlp.gate", gate)),
      up: await this.linear("mlp.up", up),
      down: await this.linear("mlp.down", down),
    };
  }

  private async linear(role: BlockRole, { bias }: LinearSpec): Promise<NativeLinear> {
    const id = idOf(this.block, role);
    const matrix = await this.loader.readMatrix(id);
    if (matrix.kind === "dense") this.packed = false;
    return {
      matrix: await this.loader.matrix(matrix, this.arenas[matrix.kind]),
      bias: bias ? await this.loader.readVector(`${id}.bias`) : null,
    };
  }
}

/** The matrix over its own bytes, or over a copy where the engine cannot read them as they lie. */
function inPlace({ codec, rows, cols, bytes }: PackedMatrix, arena: TakeBytes): NativeMatrix {
  return { ...codecForm(CODECS[codec]), rows, cols, bytes: arena ? keptIn(arena, bytes) : aligned(bytes) };
}

/** As `aligned`, with a copy in the arena. */
function keptIn(arena: Arena, bytes: Uint8Array): Uint8Array {
  if (loadNative().addon?.isKept(bytes)) return bytes;
  const copy = arena.take(bytes.length);
  copy.set(bytes);
  return copy;
}

/** Both regimes of LongRoPE; the other kinds of scaling have one. */
function ropeOf(rope: NonNullable<AttentionSpec["rope"]>): NativeRope {
  const { inverseFrequencies, factor } = ropeInverseFrequencies(rope, "short");
  const regimes = rope.scaling.kind === "longrope" ? rope.scaling : null;
  return {
    dims: rope.dims,
    inverseFrequencies,
    longInverseFrequencies: regimes && ropeInverseFrequencies(rope, "long").inverseFrequencies,
    originalMaxPositions: regimes?.originalMaxPositions ?? 0,
    attentionFactor: factor,
  };
}
