/** One way to store something: its bytes and the loss that it is predicted to cost. */
export interface Option {
  readonly bytes: number;
  readonly loss: number;
}

/** Matrices that share one codec, with an option for each codec that they may get. */
export type Item = readonly Option[];

/** A way to store a whole segment: its form, and the option of each of the items that it then has. */
interface Point extends Option {
  readonly form: number;
  readonly picks: readonly number[];
}

/** Every way to store a segment that no other one beats in both bytes and loss: bytes ascend, losses fall strictly. */
export type Front = readonly Point[];

/** What of a segment's size does not depend on codecs. */
export interface SegmentShape {
  readonly fixedBytes: number;
  /** The segment's bytes are rounded up to a multiple of this. */
  readonly align: number;
}

/**
 * The front of a segment. Exact: for each size that the items can have together, in steps of the greatest common
 * divisor of their options' differences, the least loss is kept (dynamic programming); of equally good options the
 * first.
 */
export function segmentFront(items: readonly Item[], { fixedBytes, align }: SegmentShape): Front {
  const smallest = items.map((item) => Math.min(...item.map(({ bytes }) => bytes)));
  const step = commonStep(items, smallest);
  const levels = new Levels(items, smallest, step);
  const base = fixedBytes + smallest.reduce((sum, bytes) => sum + bytes, 0);
  const front: Point[] = [];
  for (let size = 0; size < levels.losses.length; size++) {
    const loss = levels.losses[size];
    const last = front.at(-1);
    if (!Number.isFinite(loss) || (last && loss >= last.loss)) continue;
    const bytes = Math.ceil((base + size * step) / align) * align;
    if (last?.bytes === bytes) front.pop();
    front.push({ bytes, loss, form: 0, picks: levels.picksAt(size) });
  }
  return front;
}

/** The front of a segment in one of the forms that it may have, and what the form itself adds to every point. */
export interface FormFront extends Option {
  readonly front: Front;
}

/** The front of a segment that may have several forms: of all their points those that no other one beats. */
export function frontOfForms(forms: readonly FormFront[]): Front {
  const points = forms.flatMap(({ front, bytes, loss }, form) =>
    front.map((point): Point => ({ ...point, form, bytes: point.bytes + bytes, loss: point.loss + loss })),
  );
  points.sort((a, b) => a.bytes - b.bytes || a.loss - b.loss || a.form - b.form);
  const front: Point[] = [];
  for (const point of points) {
    const last = front.at(-1);
    if (!last || point.loss < last.loss) front.push(point);
  }
  return front;
}

/** The least loss of the items together at each size above their smallest, in steps, found by dynamic programming. */
export class Levels {
  /** [sizes]; infinite where no choice has that size. */
  readonly losses: Float64Array;
  /** Each item's option at each size of the items up to it. */
  private readonly chosen: Uint8Array[] = [];
  /** Each item's options in steps above its smallest. */
  private readonly weights: number[][];

  /** `smallest`: bytes of each item at size 0; `step` divides every option's bytes above that. */
  constructor(items: readonly Item[], smallest: readonly number[], step: number) {
    this.weights = items.map((item, i) => item.map(({ bytes }) => (bytes - smallest[i]) / step));
    let losses = new Float64Array([0]);
    items.forEach((item, i) => {
      const weights = this.weights[i];
      const next = new Float64Array(losses.length + Math.max(...weights)).fill(Number.POSITIVE_INFINITY);
      const chosen = new Uint8Array(next.length);
      item.forEach(({ loss }, option) => {
        relax(losses, weights[option], loss, option, next, chosen);
      });
      this.chosen.push(chosen);
      losses = next;
    });
    this.losses = losses;
  }

  picksAt(size: number): number[] {
    const picks: number[] = [];
    let left = size;
    for (let i = this.chosen.length - 1; i >= 0; i--) {
      const option = this.chosen[i][left];
      picks.unshift(option);
      left -= this.weights[i][option];
    }
    return picks;
  }
}

/** Takes an option wherever it lowers the loss of a size. */
function relax(
  losses: Float64Array,
  weight: number,
  loss: number,
  option: number,
  next: Float64Array,
  chosen: Uint8Array,
): void {
  for (let size = 0; size < losses.length; size++) {
    const sum = losses[size] + loss;
    if (sum >= next[size + weight]) continue;
    next[size + weight] = sum;
    chosen[size + weight] = option;
  }
}

/** Greatest common divisor of all options' bytes above their item's smallest; 1 where nothing differs. */
export function commonStep(items: readonly Item[], smallest: readonly number[]): number {
  let step = 0;
  items.forEach((item, i) => {
    for (const { bytes } of item) step = divisor(step, bytes - smallest[i]);
  });
  return Math.max(1, step);
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
