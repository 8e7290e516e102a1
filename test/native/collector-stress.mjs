// Run by lifetime.test.ts with --expose-gc and the addon's file: engines, models, contexts and caches are made, used
// and forgotten, with and without dispose(), collected while calls are under way; memory must not grow.
import { createRequire } from "node:module";

const ROUNDS = 60;
const MIB = 1024 * 1024;
/** What may come on top of a third of the rounds; AddressSanitizer holds freed memory back on purpose. */
const ROOM_BYTES = (process.env.ASAN_OPTIONS ? 700 : 48) * MIB;
const addon = createRequire(import.meta.url)(process.argv[2]);
const isa = addon.isas.filter(({ unavailable }) => unavailable === null).at(-1).name;
const [hidden, ffn, headDim] = [256, 512, 32];

const matrix = (rows, cols) => {
  const form = { kind: "q8", asymmetric: false, group: 32, table: false, twoLevel: false, keptCount: 0, keptOf: 0 };
  const bytes = new Uint8Array(addon.alignedBytes(addon.packedBytes(form, rows, cols)));
  bytes.fill(3);
  return { ...form, rows, cols, bytes };
};
const linear = (rows, cols) => ({ matrix: matrix(rows, cols), bias: new Float32Array(rows) });
const norm = () => ({ kind: "rms", eps: 1e-5, weight: new Float32Array(hidden).fill(1), bias: null });
const block = () => ({
  parallel: false,
  attentionNorm: norm(),
  attention: {
    heads: 8,
    kvHeads: 4,
    headDim,
    scale: 0.2,
    window: 0,
    rope: null,
    qNorm: null,
    kNorm: null,
    q: linear(8 * headDim, hidden),
    k: linear(4 * headDim, hidden),
    v: linear(4 * headDim, hidden),
    o: linear(hidden, 8 * headDim),
  },
  mlpNorm: norm(),
  mlp: { activation: "silu", gate: linear(ffn, hidden), up: linear(ffn, hidden), down: linear(hidden, ffn) },
});

/** Everything is local: what is not disposed of is garbage as soon as the promise is made. */
function start(round) {
  const engine = addon.createEngine({ isa, threads: 1 + (round % 3) });
  const model = engine.createModel({
    vocabSize: 10,
    hiddenSize: hidden,
    blocks: Array(4).fill({ kvHeads: 4, headDim }),
  });
  for (let i = 0; i < 4; i++) model.setBlock(i, block());
  const cache = model.createCache({ maxTokens: 500, kvType: ["f32", "f16", "q8"][round % 3] });
  const context = engine.createContext({ activations: round % 2 ? "int8" : "f32" });
  const rows = 20 + round;
  const promise = context.run(model, {
    input: new Float32Array(rows * hidden).fill(0.5),
    output: new Float32Array(rows * hidden),
    rows,
    from: 0,
    to: 4,
    spans: [{ cache, position: 0, count: rows }],
    skipAttention: null,
    skipMlp: null,
    adapter: null,
  });
  if (round % 4 === 1) for (const thing of [engine, model, cache, context]) thing.dispose();
  if (round % 4 === 2) context.abort();
  return promise;
}

/** Two turns of the loop: finalizers run between them. */
const settle = async () => {
  globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
};

let early = 0;
for (let round = 0; round < ROUNDS; round++) {
  const running = [start(round), start(round + 1)];
  globalThis.gc();
  await Promise.all(running);
  await settle();
  if (round === ROUNDS / 3) early = process.memoryUsage().rss;
}
const grown = process.memoryUsage().rss - early;
process.stdout.write(JSON.stringify({ rounds: ROUNDS, bounded: grown < ROOM_BYTES }));
