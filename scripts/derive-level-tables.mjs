// Derives the levels of the table codecs (src/codecs/level-tables.ts) and prints how they compare.
// Runs on dist/ (npm run build first). Usage: npm run derive:level-tables
//
// Weights of a group are taken as 32 independent normal numbers under one free scale of either sign. In turn: the best
// scale of each group under the levels, then each level as the mean of the normalised weights that it serves (weights
// of a group count by the square of its scale). That is Lloyd's algorithm with a scale a group; it ends in a local
// optimum, so several starts are tried. Levels are then rounded to int8, the one of largest magnitude at -127, and
// polished one step at a time.
import { pathToFileURL } from "node:url";

const load = (file) => import(new URL(`../dist/${file}`, import.meta.url).href);
const { Random } = await load("tensor/random.js");
const { fitSymmetric } = await load("quantization/symmetric-search.js");
const { fitAsymmetric } = await load("quantization/asymmetric-search.js");

const GROUP = 32;
const GROUPS = 6000;
const TEST_GROUPS = 6000;
const ROUNDS = 40;
/** Where the group's extreme is tried, as a factor of the outermost level. */
const FACTORS = Array.from({ length: 15 }, (_, i) => 0.72 + 0.04 * i);

function normals(count, name) {
  const random = new Random(20).fork(name);
  return Float32Array.from({ length: count * GROUP }, () => random.nextNormal());
}

/** Index of the level nearest to x. */
function nearest(middles, x) {
  let at = 0;
  let to = middles.length;
  while (at < to) {
    const middle = (at + to) >> 1;
    if (x > middles[middle]) at = middle + 1;
    else to = middle;
  }
  return at;
}

/** The scale of either sign that leaves the least squared error in x[from … from + GROUP). */
function bestScale(x, from, levels, middles) {
  let extreme = 0;
  for (let i = from; i < from + GROUP; i++) if (Math.abs(x[i]) > Math.abs(extreme)) extreme = x[i];
  let best = { gain: -1, scale: 0 };
  const consider = (inverse) => {
    let xl = 0;
    let ll = 0;
    for (let i = from; i < from + GROUP; i++) {
      const level = levels[nearest(middles, x[i] * inverse)];
      xl += x[i] * level;
      ll += level * level;
    }
    if (xl * xl > best.gain * ll) best = { gain: (xl * xl) / ll, scale: xl / ll };
  };
  for (const factor of FACTORS) {
    consider((levels[0] * factor) / extreme);
    consider((levels.at(-1) * factor) / extreme);
  }
  consider(1 / best.scale);
  consider(1 / best.scale);
  return best.scale;
}

const middlesOf = (levels) =>
  Float64Array.from({ length: levels.length - 1 }, (_, i) => (levels[i] + levels[i + 1]) / 2);

/** Mean squared error of a table; `take` sees each group's scale. */
function errorOf(x, levels, take = () => {}) {
  const middles = middlesOf(levels);
  let sum = 0;
  for (let from = 0; from < x.length; from += GROUP) {
    const scale = bestScale(x, from, levels, middles);
    take(from, scale, middles);
    for (let i = from; i < from + GROUP; i++) sum += (x[i] - scale * levels[nearest(middles, x[i] / scale)]) ** 2;
  }
  return sum / x.length;
}

/** One round of Lloyd's algorithm; the levels keep their largest magnitude, 127, at the lower end. */
function improved(x, levels) {
  const sums = new Float64Array(levels.length);
  const weights = new Float64Array(levels.length);
  errorOf(x, levels, (from, scale, middles) => {
    for (let i = from; i < from + GROUP; i++) {
      const at = nearest(middles, x[i] / scale);
      sums[at] += scale * x[i];
      weights[at] += scale * scale;
    }
  });
  const means = levels.map((level, i) => (weights[i] > 0 ? sums[i] / weights[i] : level));
  const turned = -means[0] >= means.at(-1) ? means : means.map((level) => -level).reverse();
  return turned.map((level) => (level * -127) / turned[0]);
}

/**
 * Levels to start from: even steps with one more below zero, as symmetric codecs have them, bent towards zero by
 * `power`.
 */
function start(bits, power, skew) {
  const count = 2 ** bits;
  return Array.from({ length: count }, (_, i) => {
    const t = (i - (count - 1) / 2 - skew) / ((count - 1) / 2 + skew);
    return 127 * Math.sign(t) * Math.abs(t) ** power;
  });
}

/** Moves single levels by one as long as that lowers the error. */
function polished(x, levels) {
  let best = { levels, error: errorOf(x, levels) };
  for (let moved = true; moved; ) {
    moved = false;
    for (let i = 1; i < levels.length; i++) {
      for (const step of [-1, 1]) {
        const tried = best.levels.with(i, best.levels[i] + step);
        if (tried.some((level, at) => Math.abs(level) > 127 || (at > 0 && level <= tried[at - 1]))) continue;
        const error = errorOf(x, tried);
        if (error < best.error) {
          best = { levels: tried, error };
          moved = true;
        }
      }
    }
  }
  return best.levels;
}

/** The table of a width. */
function derive(bits, x) {
  const found = [];
  for (const power of [1, 1.3]) {
    for (const skew of [0, 0.25, 0.5]) {
      let levels = start(bits, power, skew);
      for (let round = 0; round < ROUNDS; round++) levels = improved(x, levels);
      found.push({ levels, error: errorOf(x, levels) });
    }
  }
  found.sort((a, b) => a.error - b.error);
  const whole = found[0].levels.map(Math.round);
  return bits <= 3 ? polished(x, whole) : whole;
}

/** Mean squared error that a search of src/quantization leaves. */
function searchError(x, search, bits) {
  let sum = 0;
  for (let from = 0; from < x.length; from += GROUP) sum += search(x, from, from + GROUP, bits).error;
  return sum / x.length;
}

/** The quantiles of a normal distribution that NF4 is made of (QLoRA, appendix E), for comparison. */
function normalFloat4(x) {
  const sorted = Float64Array.from(x).sort();
  const quantile = (p) => sorted[Math.floor(p * (sorted.length - 1))];
  const offset = 0.9677083;
  const spread = (count) => Array.from({ length: count }, (_, i) => quantile(offset + ((0.5 - offset) * i) / count));
  const levels = [...spread(8), 0, ...spread(7).map((q) => -q)].sort((a, b) => a - b);
  const most = Math.max(...levels.map(Math.abs));
  const table = levels.map((level) => (level * 127) / most);
  return -table[0] >= table.at(-1) ? table : table.map((level) => -level).reverse();
}

function main() {
  const x = normals(GROUPS, "weights");
  const test = normals(TEST_GROUPS, "other weights");
  for (const bits of [2, 3, 4, 5]) {
    const levels = derive(bits, x);
    const errors = {
      table: errorOf(test, levels),
      symmetric: searchError(test, fitSymmetric, bits),
      asymmetric: searchError(test, fitAsymmetric, bits),
      ...(bits === 4 ? { "nf4 shape": errorOf(test, normalFloat4(x)) } : {}),
    };
    const text = Object.entries(errors).map(([name, error]) => `${name} ${error.toFixed(6)}`);
    process.stdout.write(`${bits} bits: ${levels.join(", ")}\n  mean squared error: ${text.join(", ")}\n`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) main();
