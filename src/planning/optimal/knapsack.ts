import { commonStep, type Front, Levels } from "./front.ts";
import type { MilpColumn, MilpSolver } from "./milp.ts";

/** Beyond the sums' rounding, relative to the losses: what is so near the bound is kept. */
const ROUNDING = 1e-12;
/**
 * The gap between bound and first solution in the program's units, so that the solver's tolerances are far below it.
 */
const GAP_UNITS = 1e4;

/** Columns up to which the solver takes less time than splitting the problem once more. */
const CORE_COLUMNS = 250;
const MAX_DEPTH = 24;
/** A first solution is sought among so many points of each front, at no more than so many sizes: some milliseconds. */
const NEAR_POINTS = 16;
const NEAR_SIZES = 2 ** 18;

/** A number of each front: one of its points. */
type Picks = readonly number[];

/** The points of each front that are still free, [from, to). */
type Ranges = readonly (readonly [from: number, to: number])[];

/**
 * One point of every front with the least sum of losses whose bytes fit: a multiple-choice knapsack, solved to a proven
 * optimum. The linear relaxation prices a byte (Dyer 1984, Zemel 1984); points that even at this price cost more than
 * the gap between bound and a greedy solution cannot be part of a better one, and what is left goes to the solver.
 * Where that is much, as when the one large matrix would be stored by half at one width and by half at the next, both
 * sides are solved for themselves. Null where nothing fits.
 */
export function solveKnapsack(fronts: readonly Front[], capacityBytes: number, solver: MilpSolver): Picks | null {
  const whole: Ranges = fronts.map((front) => [0, front.length]);
  const search = new Search(fronts, wholeSteps(fronts, capacityBytes), solver);
  search.visit(whole, 0);
  return search.best;
}

/**
 * The capacity without what no solution can use: sums of bytes are the smallest sum and whole steps. A tighter bound
 * for it.
 */
function wholeSteps(fronts: readonly Front[], capacityBytes: number): number {
  const smallest = fronts.reduce((sum, [first]) => sum + first.bytes, 0);
  const step = commonStep(fronts, firstBytes(fronts));
  return smallest + Math.floor((capacityBytes - smallest) / step) * step;
}

function firstBytes(fronts: readonly Front[]): number[] {
  return fronts.map(([first]) => first.bytes);
}

/** A depth-first search that keeps the best solution so far. */
class Search {
  best: Picks | null = null;
  private readonly fronts: readonly Front[];
  private readonly capacityBytes: number;
  private readonly solver: MilpSolver;

  constructor(fronts: readonly Front[], capacityBytes: number, solver: MilpSolver) {
    this.fronts = fronts;
    this.capacityBytes = capacityBytes;
    this.solver = solver;
  }

  visit(ranges: Ranges, depth: number): void {
    const { capacityBytes } = this;
    const fronts = this.fronts.map((front, i) => front.slice(...ranges[i]));
    const offer = (picks: Picks) => this.offer(picks.map((point, i) => ranges[i][0] + point));
    if (
      bytesOf(
        fronts,
        fronts.map(() => 0),
      ) > capacityBytes
    )
      return;
    const widest = fronts.map((front) => front.length - 1);
    if (bytesOf(fronts, widest) <= capacityBytes) {
      offer(widest);
      return;
    }
    const { price, picks, split } = relax(fronts, capacityBytes);
    offer(fill(fronts, picks, capacityBytes));
    const near = bestNear(fronts, price, capacityBytes);
    if (near) offer(near);
    const core = coreOf(fronts, price, capacityBytes, this.best ? lossOf(this.fronts, this.best) : 0);
    const columns = core.reduce((sum, { points }) => sum + points.length, 0);
    if (core.some(({ points }) => points.length === 0)) return;
    if (columns > CORE_COLUMNS && depth < MAX_DEPTH) {
      const [from, to] = ranges[split.front];
      const middle = from + split.to;
      // The side that the greedy solution is on last: the other is often refused by its bound.
      this.visit(ranges.with(split.front, [middle, to]), depth + 1);
      this.visit(ranges.with(split.front, [from, middle]), depth + 1);
      return;
    }
    const solved = solveCore(fronts, core, price, capacityBytes, this.solver);
    if (solved) offer(solved);
  }

  private offer(picks: Picks): void {
    if (!this.best || lossOf(this.fronts, picks) < lossOf(this.fronts, this.best)) this.best = picks;
  }
}

export function bytesOf(fronts: readonly Front[], picks: Picks): number {
  return fronts.reduce((sum, front, i) => sum + front[picks[i]].bytes, 0);
}

function lossOf(fronts: readonly Front[], picks: Picks): number {
  return fronts.reduce((sum, front, i) => sum + front[picks[i]].loss, 0);
}

/** A step from one point of a front's lower convex hull to the next. */
interface HullStep {
  readonly front: number;
  readonly to: number;
  readonly bytes: number;
  /** Loss saved a byte. */
  readonly gain: number;
}

/**
 * Takes the hulls' steps, the most saved a byte first, to the first that does not fit (`split`): its gain is the price
 * of a byte.
 */
function relax(fronts: readonly Front[], capacityBytes: number): { price: number; picks: number[]; split: HullStep } {
  const steps = fronts.flatMap(hullSteps);
  steps.sort((a, b) => b.gain - a.gain || a.front - b.front || a.to - b.to);
  const picks = fronts.map(() => 0);
  let left = capacityBytes - bytesOf(fronts, picks);
  for (const step of steps) {
    if (step.bytes > left) return { price: step.gain, picks, split: step };
    left -= step.bytes;
    picks[step.front] = step.to;
  }
  throw new Error("all steps fit, so there was nothing to relax");
}

function hullSteps(points: Front, front: number): HullStep[] {
  const hull: number[] = [];
  const gain = (a: number, b: number) => (points[a].loss - points[b].loss) / (points[b].bytes - points[a].bytes);
  points.forEach((_, i) => {
    while (hull.length > 1 && gain(hull[hull.length - 2], hull[hull.length - 1]) <= gain(hull[hull.length - 1], i)) {
      hull.pop();
    }
    hull.push(i);
  });
  return hull
    .slice(1)
    .map((to, i) => ({ front, to, bytes: points[to].bytes - points[hull[i]].bytes, gain: gain(hull[i], to) }));
}

/** Spends what is left on the single change that saves most, again and again. */
function fill(fronts: readonly Front[], start: Picks, capacityBytes: number): number[] {
  const picks = [...start];
  let left = capacityBytes - bytesOf(fronts, picks);
  for (;;) {
    let best = { front: -1, to: 0, saved: 0 };
    fronts.forEach((points, front) => {
      const now = points[picks[front]];
      const to = points.findLastIndex(({ bytes }) => bytes <= now.bytes + left);
      const saved = now.loss - points[to].loss;
      if (saved > best.saved) best = { front, to, saved };
    });
    if (best.front < 0) return picks;
    left -= fronts[best.front][best.to].bytes - fronts[best.front][picks[best.front]].bytes;
    picks[best.front] = best.to;
  }
}

/**
 * The best solution among the points of each front that the price favours; null where none fits or there are too many
 * sizes.
 */
function bestNear(fronts: readonly Front[], price: number, capacityBytes: number): number[] | null {
  const points = fronts.map((front) => {
    const cost = (point: number) => front[point].loss + price * front[point].bytes;
    const order = front.map((_, point) => point).sort((a, b) => cost(a) - cost(b) || a - b);
    return order.slice(0, NEAR_POINTS).sort((a, b) => a - b);
  });
  const items = fronts.map((front, i) => points[i].map((point) => front[point]));
  const smallest = firstBytes(items);
  const step = commonStep(items, smallest);
  const sizes = items.reduce((sum, item) => sum + (item[item.length - 1].bytes - item[0].bytes) / step, 1);
  const room = Math.floor((capacityBytes - smallest.reduce((sum, bytes) => sum + bytes, 0)) / step);
  if (room < 0 || sizes > NEAR_SIZES) return null;
  const levels = new Levels(items, smallest, step);
  let best = 0;
  for (let size = 1; size <= Math.min(room, sizes - 1); size++) {
    if (levels.losses[size] < levels.losses[best]) best = size;
  }
  return levels.picksAt(best).map((pick, i) => points[i][pick]);
}

/**
 * The points of a front that may be part of a better solution; `excess`: what each costs above the front's cheapest.
 */
interface Core {
  readonly points: readonly number[];
  readonly excess: readonly number[];
}

/**
 * `price` bounds every solution from below: the sum of the fronts' least loss + price x bytes, less price x capacity. A
 * front without a point left: nothing here is better than the incumbent.
 */
function coreOf(fronts: readonly Front[], price: number, capacityBytes: number, incumbentLoss: number): Core[] {
  const priced = fronts.map((front) => front.map(({ bytes, loss }) => loss + price * bytes));
  const least = priced.map((costs) => Math.min(...costs));
  const sum = least.reduce((all, cost) => all + cost, 0);
  const gap = incumbentLoss - (sum - price * capacityBytes) + ROUNDING * sum;
  return priced.map((costs, i) => {
    const points = costs.flatMap((cost, point) => (cost - least[i] <= gap ? [point] : []));
    return { points, excess: points.map((point) => costs[point] - least[i]) };
  });
}

/**
 * The knapsack over the core: a column a point, a row a front, one row of bytes with the unused ones as a column at
 * their price. The cost is the loss above the bound, in units of the gap.
 */
function solveCore(
  fronts: readonly Front[],
  core: readonly Core[],
  price: number,
  capacityBytes: number,
  solver: MilpSolver,
): number[] | null {
  const columns: MilpColumn[] = [];
  const owners: { front: number; point: number }[] = [];
  const most = Math.max(...core.flatMap(({ excess }) => excess));
  const unit = most > 0 ? GAP_UNITS / most : 1;
  const items = core.map(({ points }, i) => points.map((point) => fronts[i][point]));
  const smallest = firstBytes(items);
  const step = commonStep(items, smallest);
  core.forEach(({ points, excess }, front) => {
    points.forEach((point, i) => {
      const weight = (items[front][i].bytes - smallest[front]) / step;
      const bytes: [number, number][] = weight === 0 ? [] : [[fronts.length, weight]];
      columns.push({ cost: excess[i] * unit, lower: 0, upper: 1, whole: true, entries: [[front, 1], ...bytes] });
      owners.push({ front, point });
    });
  });
  const capacity = Math.floor((capacityBytes - smallest.reduce((sum, bytes) => sum + bytes, 0)) / step);
  if (capacity < 0) return null;
  columns.push({ cost: price * step * unit, lower: 0, upper: capacity, whole: false, entries: [[fronts.length, 1]] });
  const one = { lower: 1, upper: 1 };
  const rows = [...fronts.map(() => one), { lower: capacity, upper: capacity }];
  const values = solver({ columns, rows, relativeGap: 0 });
  if (!values) return null;
  const picks = fronts.map(() => 0);
  owners.forEach(({ front, point }, i) => {
    if (values[i] > 0.5) picks[front] = point;
  });
  if (bytesOf(fronts, picks) > capacityBytes) throw new Error("the solver went over the budget");
  return picks;
}
