import type { Codec } from "../codecs/codec.ts";
import { CODECS, type CodecId } from "../codecs/index.ts";
import type { IntegerNumbers } from "../codecs/integer-numbers.ts";
import { UserError } from "../errors.ts";
import type { Maths } from "../maths/maths.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { roundToBf16, roundToF16 } from "../tensor/half.ts";
import { bandsOf, type MatrixBands } from "./bands.ts";
import { doubtfulShare } from "./doubtful-share.ts";
import { searchFreely, searchScales } from "./scale-search.ts";

/**
 * The part of a matrix (of its root of summed squares) that the range of a codec may cost beside what its levels cost:
 * about what 8 bits lose, and far less than 4 bits do.
 */
const ALLOWED = 2 ** -7;
/** A bit of precision more than the levels lose. */
const ALLOWED_FACTOR = 2;

/** Which matrix of a source is to be stored how. */
export interface RangeRequest extends MatrixBands {
  readonly codec: CodecId;
  readonly maths: Maths;
}

/** Sums of squares over the matrix: of the weights, and of what they lose as stored and under scales of any size. */
interface Losses {
  weights: number;
  stored: number;
  free: number;
  worst: { readonly row: number; readonly loss: number };
}

/**
 * Throws UserError WEIGHTS_RANGE, by name and row, where weights are too small for the numbers that a codec stores
 * (scales of f16, or of 8 bits under one a row; f16 itself), so that the matrix loses a bit and more of what the
 * codec's levels keep. Measured with nearest levels, and only where weights are so small that it may be.
 */
export async function checkRange(request: RangeRequest): Promise<void> {
  const { id, codec, maths } = request;
  const share = { all: 0, doubtful: 0 };
  for await (const { band } of bandsOf(request)) {
    const { all, doubtful } = doubtfulShare(band, CODECS[codec]);
    share.all += all;
    share.doubtful += doubtful;
  }
  if (share.doubtful <= ALLOWED ** 2 * share.all) return;
  const losses: Losses = { weights: share.all, stored: 0, free: 0, worst: { row: 0, loss: 0 } };
  for await (const { band, firstRow } of bandsOf(request))
    await addLosses(losses, band, firstRow, CODECS[codec], maths);
  const [stored, free] = [losses.stored, losses.free].map((squares) => Math.sqrt(squares / losses.weights));
  if (stored > ALLOWED_FACTOR * free + ALLOWED) throw tooSmall(id, CODECS[codec], losses.worst.row, stored, free);
}

async function addLosses(losses: Losses, band: DenseMatrix, firstRow: number, codec: Codec, maths: Maths) {
  const [stored, free] = await Promise.all([storedValues(band, codec, maths), freeValues(band, codec, maths)]);
  for (let row = 0; row < band.rows; row++) {
    let [loss, freeLoss] = [0, 0];
    for (let i = row * band.cols; i < (row + 1) * band.cols; i++) {
      loss += (band.data[i] - stored[i]) ** 2;
      freeLoss += (band.data[i] - free[i]) ** 2;
    }
    losses.stored += loss;
    losses.free += freeLoss;
    if (loss > losses.worst.loss) losses.worst = { row: firstRow + row, loss };
  }
}

/** As the codec stores them, by nearest levels. */
async function storedValues(band: DenseMatrix, codec: Codec, maths: Maths): Promise<Float32Array> {
  if (codec.scheme === "float") return band.data.map(codec.id === "f16" ? roundToF16 : roundToBf16);
  return valuesOf(await searchScales(maths, band, codec, ones(band), {}), codec);
}

/**
 * The same under scales of any size. The weights are brought near to 1, and the values back: exact, and squares of tiny
 * weights are numbers.
 */
async function freeValues(band: DenseMatrix, codec: Codec, maths: Maths): Promise<Float32Array> {
  if (codec.scheme === "float") return band.data;
  const most = band.data.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  const factor = most === 0 ? 1 : 2 ** -Math.ceil(Math.log2(most));
  const near = { ...band, data: band.data.map((x) => x * factor) };
  return valuesOf(await searchFreely(maths, near, codec, ones(band)), codec).map((x) => x / factor);
}

const ones = ({ cols }: DenseMatrix) => new Float32Array(cols).fill(1);

/** What codes stand for. */
function valuesOf({ rows, cols, codes, scales, minima }: IntegerNumbers, { group, levels }: Codec): Float32Array {
  const values = new Float32Array(rows * cols);
  const groups = scales.length / rows;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const at = row * cols + col;
      const g = row * groups + (group === null ? 0 : Math.floor(col / group));
      values[at] = scales[g] * (levels ? levels[codes[at]] : codes[at]) + (minima?.[g] ?? 0);
    }
  }
  return values;
}

function tooSmall(id: string, codec: Codec, row: number, stored: number, free: number): UserError {
  const numbers = codec.scheme === "float" ? codec.id : `the scales of ${codec.id}`;
  const errors = `relative error ${stored.toPrecision(2)}; ${free.toPrecision(2)} with a wider range`;
  const wider = codec.scaleKind === "f16" ? "a codec with scales of two levels (-s8), bf16 or f32" : "bf16 or f32";
  return new UserError(
    "WEIGHTS_RANGE",
    `${id}: row ${row}: expected weights that ${numbers} can express, found smaller ones (${errors})`,
    `choose ${wider} for this matrix`,
  );
}
