import { UserError } from "../../src/errors.ts";
import { type DecoderSpec, headMatrixId, linearsOf, matricesOf } from "../../src/model/decoder-spec.ts";
import { halfOf, idOf, partsOf, ROLES } from "../../src/model/matrix-id.ts";
import { readsStream } from "../../src/model/matrix-inputs.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { type OrthogonalMatrix, orthogonalMatrix } from "./orthogonal.ts";
import { mlpNormName, rotatedSpec, rotationProblem } from "./rotated-spec.ts";

export interface RotationOptions {
  /** Of the orthogonal matrix. */
  readonly seed: number;
  /** True gives tied embeddings a head of their own, which costs its bytes; false (the default) refuses them. */
  readonly untie?: boolean | undefined;
}

/** Rows of the head that are multiplied at a time. */
const HEAD_ROWS = 4096;

/**
 * The same model with its residual stream x as x Q: norm gains (and layer norms' means and biases) folded into the
 * matrices around them, and those rotated (SliceGPT's exact transformation, arXiv 2401.15024, with QuaRot's Q). Logits
 * stay the same but for rounding. Weights are transformed when they are read, in f64, rounded once to f32; the source
 * stays the caller's to close. Throws UserError ROTATION where the structure does not allow it exactly.
 */
export function rotateResidualStream(source: WeightSource, { seed, untie = false }: RotationOptions): WeightSource {
  const problem = rotationProblem(source.spec, { untie });
  if (problem) {
    throw new UserError(
      "ROTATION",
      `${source.label}: rotation of the residual stream: expected a structure that keeps the logits, ${problem}`,
      source.spec.tied && !untie ? "leave the rotation out, or allow an untied head" : "leave the rotation out",
    );
  }
  return new RotatedSource(source, orthogonalMatrix(source.spec.hiddenSize, seed));
}

/** What stands before a matrix: a norm's gain and, for layer norm, bias; the matrix reads the stream through it. */
interface Fold {
  readonly gain: Float32Array;
  readonly bias: Float32Array | null;
}

const READERS: ReadonlySet<string> = new Set(ROLES.filter(readsStream));
/** Gains that the readers have taken in. */
const STREAM_GAINS: ReadonlySet<string> = new Set(["attn.norm.weight", "mlp.norm.weight", "finalNorm.weight"]);

class RotatedSource implements WeightSource {
  readonly spec: DecoderSpec;
  readonly label: string;
  private readonly source: WeightSource;
  private readonly q: OrthogonalMatrix;
  /** Layer norms take the mean out of the stream: what is written to it is centred instead. */
  private readonly centred: boolean;
  private readonly shapes: ReadonlyMap<string, { readonly rows: number; readonly cols: number }>;

  constructor(source: WeightSource, q: OrthogonalMatrix) {
    this.source = source;
    this.q = q;
    this.label = source.label;
    this.spec = rotatedSpec(source.spec);
    this.centred = source.spec.finalNorm.kind === "layer";
    this.shapes = new Map(matricesOf(this.spec).map((matrix) => [matrix.id, matrix]));
  }

  async readMatrix(id: string) {
    const { rows, cols } = this.shapeOf(id);
    return { kind: "dense", rows, cols, data: await this.readRows(id, 0, rows) } as const;
  }

  async readRows(id: string, from: number, to: number): Promise<Float32Array> {
    const { rows, cols } = this.shapeOf(id);
    if (this.writes(id)) {
      const data = await this.source.readRows(id, 0, rows);
      return this.rotatedColumns(data, cols).slice(from * cols, to * cols);
    }
    const data = await this.source.readRows(this.sourceId(id), from, to);
    const fold = await this.foldOf(id);
    return fold ? this.rotatedRows(data, (x) => scale(x, fold.gain)) : this.rotatedRows(data, (x) => this.centre(x));
  }

  async readVector(id: string): Promise<Float32Array> {
    if (STREAM_GAINS.has(partsOf(id)?.part ?? id)) return new Float32Array(this.spec.hiddenSize).fill(1);
    const matrix = id.replace(/\.bias$/, "");
    if (matrix === id || !this.shapes.has(matrix)) return this.source.readVector(id);
    if (this.writes(matrix)) return this.rotatedRows(await this.source.readVector(id), (x) => this.centre(x));
    return this.foldedBias(matrix);
  }

  async close(): Promise<void> {}

  /** Whether a matrix' outputs are added to the stream. */
  private writes(id: string): boolean {
    const parts = partsOf(id);
    return parts !== null && !READERS.has(parts.part);
  }

  private shapeOf(id: string): { readonly rows: number; readonly cols: number } {
    const shape = this.shapes.get(id);
    if (!shape) throw new Error(`no matrix ${id}`);
    return shape;
  }

  /** Where the numbers of a matrix come from: a tied head's from the embedding. */
  private sourceId(id: string): string {
    return id === "head" ? headMatrixId(this.source.spec) : id;
  }

  /** The norm before a matrix; null for the embedding, which begins the stream. */
  private async foldOf(id: string): Promise<Fold | null> {
    if (id === "embedding") return null;
    const name = this.normName(id);
    const bias = this.centred ? await this.source.readVector(`${name}.bias`) : null;
    return { gain: await this.source.readVector(`${name}.weight`), bias };
  }

  private normName(id: string): string {
    if (id === "head") return "finalNorm";
    const parts = partsOf(id);
    if (!parts || !READERS.has(parts.part)) throw new Error(`no norm before ${id}`);
    const { block, part } = parts;
    return idOf(block, halfOf(part) === "attn" ? "attn.norm" : mlpNormName(this.source.spec.blocks[block]));
  }

  /** A reader's own bias plus its product with the norm's. */
  private async foldedBias(id: string): Promise<Float32Array> {
    const { rows, cols } = this.shapeOf(id);
    const out = (await this.ownBias(id)) ?? new Float32Array(rows);
    const bias = (await this.foldOf(id))?.bias;
    if (!bias) return out;
    for (let from = 0; from < rows; from += HEAD_ROWS) {
      const to = Math.min(rows, from + HEAD_ROWS);
      const data = await this.source.readRows(this.sourceId(id), from, to);
      for (let row = from; row < to; row++) {
        let sum = out[row];
        for (let i = 0; i < cols; i++) sum += data[(row - from) * cols + i] * bias[i];
        out[row] = sum;
      }
    }
    return out;
  }

  /** The bias that the source has for a matrix, as an array of our own. */
  private async ownBias(id: string): Promise<Float32Array | null> {
    const has = id === "head" ? this.source.spec.headBias : this.hasBias(id);
    return has ? (await this.source.readVector(`${id}.bias`)).slice() : null;
  }

  private hasBias(id: string): boolean {
    const parts = partsOf(id);
    if (!parts) throw new Error(`no block has ${id}`);
    const linears = linearsOf(this.source.spec.blocks[parts.block]);
    return linears.find(({ role }) => role === parts.part)?.linear.bias ?? false;
  }

  /** Every row of data [rows, hiddenSize] prepared and times Q. */
  private rotatedRows(data: Float32Array, prepare: (x: Float64Array) => void): Float32Array {
    const { size } = this.q;
    const out = new Float32Array(data.length);
    const x = new Float64Array(size);
    for (let first = 0; first < data.length; first += size) {
      x.set(data.subarray(first, first + size));
      prepare(x);
      this.q.rotate(x);
      out.set(x, first);
    }
    return out;
  }

  /** Q^T times data [hiddenSize, cols]: its columns are what is added to the stream. */
  private rotatedColumns(data: Float32Array, cols: number): Float32Array {
    return transposed(
      this.rotatedRows(transposed(data, cols), (x) => this.centre(x)),
      this.q.size,
    );
  }

  /** Takes the mean out of what is written to the stream, where layer norms do so when it is read. */
  private centre(x: Float64Array): void {
    if (!this.centred) return;
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
    for (let i = 0; i < x.length; i++) x[i] -= mean;
  }
}

function scale(x: Float64Array, factors: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i] *= factors[i];
}

/** Data [rows, cols] as [cols, rows]. */
function transposed(data: Float32Array, cols: number): Float32Array {
  const rows = data.length / cols;
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) out[j * rows + i] = data[i * cols + j];
  return out;
}
