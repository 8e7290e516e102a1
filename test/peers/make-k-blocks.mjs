// node test/peers/make-k-blocks.mjs LLAMA_CPP_BIN: writes test/fixtures/gguf/k-blocks.json: blocks of the types that
// layerwise only reads, as llama-quantize makes them from random weights, and what llama.cpp itself makes of them in
// f32. Needs dist/ (npm run build).
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { matricesOf, vectorsOf } from "../../dist/model/decoder-spec.js";
import { exportGguf } from "../../dist/model/gguf/export-gguf.js";
import { Random } from "../../dist/tensor/random.js";
import { openGguf } from "./gguf-reader.mjs";

/** Type in the file, and what llama-quantize calls it. */
const TYPES = { Q3_K: "Q3_K_S", Q4_K: "Q4_K_S", Q5_K: "Q5_K_S", Q6_K: "Q6_K", IQ4_NL: "IQ4_NL", IQ4_XS: "IQ4_XS" };
const TENSOR = "blk.0.ffn_down.weight";
const VALUES = 512;

const bin = process.argv[2];
if (!bin) throw new Error("name the folder of llama-quantize");
const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-k-blocks-"));
const file = (name) => path.join(folder, `${name}.gguf`);

const linear = (rows, cols) => ({ rows, cols, bias: false });
const norm = { kind: "rms", size: 256, eps: 1e-5 };
const spec = {
  ...{ family: "llama", vocabSize: 32, hiddenSize: 256, maxPositions: 64, tied: true, headBias: false },
  blocks: [
    {
      residual: "sequential",
      residualFactor: 1,
      attentionNorms: { pre: norm, post: null },
      attention: {
        ...{ heads: 4, kvHeads: 4, headDim: 64, scale: 0.125, window: null, qNorm: null, kNorm: null },
        rope: { dims: 64, theta: 10000, scaling: { kind: "none" } },
        ...{ q: linear(256, 256), k: linear(256, 256), v: linear(256, 256), o: linear(256, 256) },
      },
      mlpNorms: { pre: norm, post: null },
      mlp: { activation: "silu", gate: linear(512, 256), up: linear(512, 256), down: linear(256, 512) },
    },
  ],
  ...{ finalNorm: norm, bosToken: null, eosTokens: [] },
};
const random = new Random(1);
const matrices = new Map(
  matricesOf(spec).map(({ id, rows, cols }) => {
    const data = Float32Array.from({ length: rows * cols }, () => random.nextNormal() / 16);
    return [id, { kind: "dense", rows, cols, data }];
  }),
);
const vectors = new Map(vectorsOf(spec).map(({ id, length }) => [id, new Float32Array(length).fill(1)]));
const source = {
  ...{ spec, label: "random" },
  readMatrix: async (id) => matrices.get(id),
  readRows: async (id, from, to) => {
    const { cols, data } = matrices.get(id);
    return data.slice(from * cols, to * cols);
  },
  readVector: async (id) => vectors.get(id),
  close: async () => undefined,
};
await exportGguf(source, { file: file("F32"), name: "random", tokenizer: null });

const quantize = (...args) => execFileSync(path.join(bin, "llama-quantize"), args, { stdio: "ignore" });
const blocks = [];
for (const [type, name] of Object.entries(TYPES)) {
  quantize("--pure", file("F32"), file(type), name, "1");
  quantize("--allow-requantize", file(type), file(`${type}-F32`), "F32", "1");
  const packed = await openGguf(file(type));
  const plain = await openGguf(file(`${type}-F32`));
  const place = packed.tensors.get(TENSOR);
  if (place.type !== type) throw new Error(`expected ${type}, found ${place.type}`);
  const bytes = (await packed.readBytes(TENSOR)).slice(0, (VALUES / (place.rows * place.cols)) * place.bytes);
  const values = (await plain.readValues(TENSOR)).slice(0, VALUES);
  const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");
  blocks.push({ type, bytes: base64(bytes), f32: base64(values) });
  await packed.close();
  await plain.close();
}
mkdirSync("test/fixtures/gguf", { recursive: true });
const how =
  "test/peers/make-k-blocks.mjs: the first 512 values of a random matrix, by llama-quantize 0.3.36 (llama-cpp-python)";
writeFileSync("test/fixtures/gguf/k-blocks.json", `${JSON.stringify({ how, blocks }, null, 1)}\n`);
