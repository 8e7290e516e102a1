import type { IntegerNumbers } from "../../codecs/integer-numbers.ts";
import { nearestStored } from "../../codecs/two-level.ts";
import { type LevelForm, levelOf } from "../../maths/level-form.ts";
import type { DenseMatrix } from "../../model/weight-source.ts";
import type { StepRates } from "./latent-vector.ts";

/**
 * How far a weight's place may move from where it began, in codes: the next code on one side is in reach, sometimes
 * both.
 */
const MOST_OFFSET = 0.5;
/**
 * A place begins so much of the way from its code to where the original weight lies, at most to the edge of the code's
 * cell. All the way, and the many weights that error compensation has moved to another code would lie at an edge, and
 * go back together at the first step; not at all, and a weight that was rounded by a hair would be as hard to move as
 * any other (docs/decisions/0007).
 */
const TOWARDS_ORIGINAL = 0.4;
const CELL_EDGE = 0.5;
/** How far a scale may move from where it began, as a part of itself. */
const MOST_SCALE_CHANGE = 0.25;

/** What is learned of one quantized matrix, and what it comes from. */
export interface LatentMatrixOptions {
  /** Codes and scales to begin with. */
  readonly numbers: IntegerNumbers;
  readonly original: DenseMatrix;
  readonly form: LevelForm;
  /** Columns that share a scale; 0: a whole row. */
  readonly group: number;
}

/**
 * A quantized matrix whose rounding and scales are learned (AutoRound, arXiv 2309.05516). Each weight has a place on
 * the axis of codes that is rounded to the nearest code; it begins at the code that the quantizer chose, on the side
 * where the original weight lies, so that nothing has changed yet and a weight that was rounded by a hair is the first
 * to be rounded the other way. Places and scales step by the sign of their gradient; rounding passes gradients straight
 * through. Transposed, [cols, rows], as products take it.
 */
export class LatentMatrix {
  /** [cols, rows]: what codes and scales stand for now, as a reader of the packed matrix computes it. */
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
  private readonly options: LatentMatrixOptions;
  private readonly levels: Float64Array;
  private readonly group: number;
  /** [cols, rows], in codes */
  private readonly places: Float32Array;
  private readonly firstPlaces: Float32Array;
  /** [groups, rows]: before rounding to what can be stored, as stored, and as it began. */
  private readonly scales: LatentScales;
  private readonly minima: LatentScales | null;

  constructor(options: LatentMatrixOptions) {
    const { numbers, form, group } = options;
    this.options = options;
    this.rows = numbers.rows;
    this.cols = numbers.cols;
    this.group = group === 0 ? numbers.cols : group;
    this.levels = Float64Array.from({ length: 2 ** form.bits }, (_, code) => levelOf(form, code));
    this.scales = new LatentScales(numbers.scales, numbers.rowScales, numbers.rows);
    this.minima = numbers.minima ? new LatentScales(numbers.minima, numbers.rowMinima, numbers.rows) : null;
    this.firstPlaces = this.placesOf(options);
    this.places = this.firstPlaces.slice();
    this.values = new Float32Array(this.rows * this.cols);
    for (let at = 0; at < this.groups; at++) this.expand(at);
  }

  /** One step against the gradient of the loss in `values`, [cols, rows]. */
  step(gradient: Float32Array, rates: StepRates): void {
    const slopes = new Float64Array(this.rows);
    const sums = new Float64Array(this.rows);
    for (let at = 0; at < this.groups; at++) {
      this.sumSlopes(gradient, at, slopes, sums);
      this.movePlaces(gradient, at, rates.rounding);
      this.scales.step(at, slopes, rates.scale);
      this.minima?.step(at, sums, rates.scale);
      this.expand(at);
    }
  }

  /** Codes and scales as they are now, ready to be packed. */
  numbers(): IntegerNumbers {
    const { rows, cols, places } = this;
    const codes = new Uint8Array(rows * cols);
    for (let col = 0; col < cols; col++) {
      for (let row = 0; row < rows; row++) codes[row * cols + col] = this.codeAt(places[col * rows + row]);
    }
    const { numbers } = this.options;
    return { ...numbers, codes, scales: this.scales.stored(), minima: this.minima ? this.minima.stored() : null };
  }

  private get groups(): number {
    return Math.ceil(this.cols / this.group);
  }

  private codeAt(place: number): number {
    const code = Math.floor(place + 0.5);
    return code < 0 ? 0 : code < this.levels.length ? code : this.levels.length - 1;
  }

  /** Where the places begin. */
  private placesOf({ numbers, original, form }: LatentMatrixOptions): Float32Array {
    const { rows, cols, codes } = numbers;
    const places = new Float32Array(rows * cols);
    for (let row = 0; row < rows; row++) {
      for (let col = 0; col < cols; col++) {
        const at = Math.floor(col / this.group) * rows + row;
        const scale = this.scales.current[at];
        const minimum = this.minima ? this.minima.current[at] : 0;
        const level = scale === 0 ? 0 : (original.data[row * cols + col] - minimum) / scale;
        places[col * rows + row] = placeOf(form, this.levels, codes[row * cols + col], level);
      }
    }
    return places;
  }

  /** Slopes of the loss along each row's scale and minimum in a group, [rows] each. */
  private sumSlopes(gradient: Float32Array, at: number, slopes: Float64Array, sums: Float64Array): void {
    const { rows, cols, group, places, levels } = this;
    slopes.fill(0);
    sums.fill(0);
    for (let col = at * group; col < Math.min(cols, (at + 1) * group); col++) {
      for (let row = 0; row < rows; row++) {
        const slope = gradient[col * rows + row];
        slopes[row] += slope * levels[this.codeAt(places[col * rows + row])];
        sums[row] += slope;
      }
    }
  }

  private movePlaces(gradient: Float32Array, at: number, rate: number): void {
    const { rows, cols, group, places, firstPlaces } = this;
    const scales = this.scales.current.subarray(at * rows, (at + 1) * rows);
    for (let col = at * group; col < Math.min(cols, (at + 1) * group); col++) {
      for (let row = 0, i = col * rows; row < rows; row++, i++) {
        const first = firstPlaces[i];
        const moved = places[i] - rate * Math.sign(gradient[i] * scales[row]);
        places[i] = Math.min(first + MOST_OFFSET, Math.max(first - MOST_OFFSET, moved));
      }
    }
  }

  /** Writes the values of one group of columns. */
  private expand(at: number): void {
    const { rows, cols, group, places, levels, values } = this;
    const scales = this.scales.current.subarray(at * rows, (at + 1) * rows);
    const minima = this.minima?.current.subarray(at * rows, (at + 1) * rows);
    for (let col = at * group; col < Math.min(cols, (at + 1) * group); col++) {
      for (let row = 0, i = col * rows; row < rows; row++, i++) {
        values[i] = scales[row] * levels[this.codeAt(places[i])] + (minima ? minima[row] : 0);
      }
    }
  }
}

/** Scales (or minima) that are learned, [groups, rows]. */
class LatentScales {
  /** As they can be stored. */
  readonly current: Float32Array;
  private readonly latent: Float64Array;
  private readonly first: Float64Array;
  private readonly steps: Float32Array | null;
  private readonly rows: number;

  /** From numbers [rows, groups] and what a row's are multiples of. */
  constructor(numbers: Float32Array, steps: Float32Array | null, rows: number) {
    const groups = numbers.length / rows;
    this.rows = rows;
    this.steps = steps;
    this.current = new Float32Array(numbers.length);
    for (let at = 0; at < numbers.length; at++) {
      this.current[at] = numbers[(at % rows) * groups + Math.floor(at / rows)];
    }
    this.first = Float64Array.from(this.current);
    this.latent = this.first.slice();
  }

  /** Moves a group's scales by the sign of their slopes, [rows], each by a part `rate` of where it began. */
  step(group: number, slopes: Float64Array, rate: number): void {
    const { first, latent, current, steps, rows } = this;
    for (let row = 0, at = group * rows; row < rows; row++, at++) {
      const reach = Math.abs(first[at]) * MOST_SCALE_CHANGE;
      const moved = latent[at] - Math.sign(slopes[row]) * rate * Math.abs(first[at]);
      latent[at] = Math.min(first[at] + reach, Math.max(first[at] - reach, moved));
      // A row whose scales are all zero has no step, and stays zero.
      if (first[at] !== 0) current[at] = nearestStored(latent[at], steps ? steps[row] : 0);
    }
  }

  /** [rows, groups] */
  stored(): Float32Array {
    const { current, rows } = this;
    const groups = current.length / rows;
    return Float32Array.from(
      { length: current.length },
      (_, i) => current[(i % groups) * rows + Math.floor(i / groups)],
    );
  }
}

/**
 * Where the place of a weight begins that has `code` and would lie at `level`: whole numbers stand for levels, halves
 * are half-way.
 */
function placeOf(form: LevelForm, levels: Float64Array, code: number, level: number): number {
  const distance = level - levels[code];
  if (distance < 0) {
    const gap = code > 0 ? levels[code] - levels[code - 1] : form.gapLow;
    return code - TOWARDS_ORIGINAL * Math.min(CELL_EDGE, -distance / gap);
  }
  const gap = code + 1 < levels.length ? levels[code + 1] - levels[code] : form.gapHigh;
  return code + TOWARDS_ORIGINAL * Math.min(CELL_EDGE, distance / gap);
}
