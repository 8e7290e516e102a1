// npm run results:sparse-kernels: microseconds of one row of activations times a matrix of 512 x 1536 that stays in
// the cache, one thread, sparse codecs beside dense ones, on every table of kernels that this machine runs: the best of
// many.
import { existsSync, readFileSync } from "node:fs";
import { RandomTiles } from "../../dist/bench/random-tiles.js";
import { CODECS } from "../../dist/codecs/index.js";
import { alignedBytes } from "../../dist/native/aligned.js";
import { codecForm } from "../../dist/native/codec-form.js";
import { loadNative } from "../../dist/native/load.js";
import { save, stamp } from "./common.mjs";
import { kernelsText } from "./sparse-text.mjs";

const FILE = "docs/results/sparse.json";
const [ROWS, COLS] = [512, 1536];
const REPEATS = 4000;
const NAMES = ["q8s-g32", "q4s-g32", "q3s-g32", "q2s-g32", "q8s-g32-n16", "q4s-g32-n24", "q4s-g32-n16", "q4s-g32-n8"];

const { addon, reason } = loadNative();
if (!addon) throw new Error(reason);
const tiles = new RandomTiles(1);
const x = Float32Array.from({ length: COLS }, (_, i) => Math.sin(i));
const kernels = {};
for (const name of [...NAMES, "q3s-g32-n16"]) {
  const packed = tiles.matrix(name, CODECS[name], { rows: ROWS, cols: COLS });
  const bytes = alignedBytes(packed.length);
  bytes.set(packed);
  const matrix = { ...codecForm(CODECS[name]), rows: ROWS, cols: COLS, bytes };
  kernels[name] = { bytes: packed.length, microseconds: {} };
  for (const { name: isa } of addon.isas.filter(({ unavailable }) => unavailable === null)) {
    if (isa === "scalar") continue;
    const engine = addon.createEngine({ isa, threads: 1 });
    const y = new Float32Array(ROWS);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < REPEATS; i++) {
      const began = process.hrtime.bigint();
      engine.productInt8(matrix, x, y);
      best = Math.min(best, Number(process.hrtime.bigint() - began) / 1000);
    }
    kernels[name].microseconds[isa] = best;
    engine.dispose();
  }
}
const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { codecs: {} };
save("sparse", { ...result, kernels: { rows: ROWS, cols: COLS, codecs: kernels, ...stamp() } });
process.stdout.write(`${kernelsText({ codecs: kernels })}\n`);
