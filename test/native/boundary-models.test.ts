import { describe, expect, it } from "vitest";
import { ADDON_STATE, engineOf, HAS_ADDON, ISAS, theAddon } from "./engines.ts";
import { BAD_SIZES, changed, detached, expectRefused, type Loose, loose } from "./refusals.ts";
import {
  randomMatrix,
  TINY,
  TINY_SHAPE,
  tinyBlock,
  tinyHead,
  tinyLogits,
  tinyModel,
  tinyNorm,
  tinyPass,
} from "./tiny-model.ts";

const engine = () => engineOf(ISAS[ISAS.length - 1]);

describe.skipIf(!HAS_ADDON)(`models, passes and caches at the addon's boundary (${ADDON_STATE})`, () => {
  it("refuses weights that do not fit their model", async () => {
    const { model } = tinyModel(engine());
    for (const index of [...BAD_SIZES, TINY.blocks])
      await expectRefused(() => model.setBlock(loose(index), tinyBlock()), /block/);
    const block = tinyBlock();
    const attention = loose(block.attention);
    const linear = (rows: number, cols: number) => ({ matrix: randomMatrix(rows, cols), bias: null });
    const short = { ...tinyNorm(), weight: new Float32Array(31) };
    const wrong: Loose[] = [
      { attention: null },
      { attentionNorm: short },
      { attentionNorm: { ...tinyNorm(), kind: "batch" } },
      { attentionNorm: { ...tinyNorm(), eps: Number.NaN } },
      { attentionNorm: { ...tinyNorm(), kind: "layer" } },
      ...BAD_SIZES.map((heads) => ({ attention: { ...attention, heads } })),
      { attention: { ...attention, heads: 3 } },
      { attention: { ...attention, kvHeads: 4 } },
      { attention: { ...attention, headDim: 16 } },
      { attention: { ...attention, q: linear(TINY.hidden, 40) } },
      { attention: { ...attention, k: linear(24, TINY.hidden) } },
      { attention: { ...attention, o: linear(24, TINY.hidden) } },
      { attention: { ...attention, scale: Number.NaN } },
      { attention: { ...attention, window: -1 } },
      { attention: { ...attention, rope: { ...attention.rope, dims: 7 } } },
      { attention: { ...attention, rope: { ...attention.rope, dims: 10 } } },
      { attention: { ...attention, rope: { ...attention.rope, inverseFrequencies: new Float64Array(3) } } },
      { attention: { ...attention, rope: { ...attention.rope, longInverseFrequencies: new Float64Array(3) } } },
      { attention: { ...attention, qNorm: short } },
      // Those of all key heads are fewer.
      { attention: { ...attention, kNorm: tinyNorm() } },
      { attentionPostNorm: short },
      { mlpPostNorm: short },
      { residualFactor: Number.NaN },
      { residualFactor: "1" },
      { attention: { ...attention, q: { ...attention.q, bias: new Float32Array(31) } } },
      { mlp: { ...loose(block.mlp), activation: "swish" } },
      { mlp: { ...loose(block.mlp), up: linear(40, TINY.hidden) } },
      { mlp: { ...loose(block.mlp), down: linear(TINY.hidden, 40) } },
      { mlp: { ...loose(block.mlp), gate: linear(TINY.ffn, 40) } },
    ];
    for (const [i, fields] of wrong.entries()) {
      await expectRefused(() => model.setBlock(0, changed(block, fields)), /./, `block ${i}`);
    }
    await expectRefused(() => model.setHead("output", changed(tinyHead(), { linear: linear(TINY.vocab, 31) })), /head/);
    await expectRefused(() => model.setEmbedding(randomMatrix(TINY.vocab, 31)), /matrix|embedding/);
    await expectRefused(() => model.setEmbedding(randomMatrix(49, TINY.hidden)), /matrix|embedding/);
    const lowRank = { a: randomMatrix(4, TINY.hidden), b: randomMatrix(TINY.hidden, 4), factor: 1 };
    const part = { block: 0, role: "attn.q", lowRank };
    const parts: Loose[] = [
      { block: 2 },
      { role: "attn.x" },
      { role: "mlp.up" },
      { lowRank: { ...lowRank, b: randomMatrix(TINY.hidden, 5) } },
      { lowRank: { ...lowRank, a: randomMatrix(4, 31) } },
      { lowRank: { ...lowRank, factor: Number.NaN } },
      { lowRank: { ...lowRank, a: undefined } },
    ];
    for (const fields of parts) await expectRefused(() => model.setAdapter("a", [changed(part, fields)]), /./);
    model.setAdapter("a", [part]);
    for (const ids of [[-1], [TINY.vocab], [2 ** 31 - 1]]) {
      await expectRefused(() => model.embed(Int32Array.from(ids), new Float32Array(TINY.hidden)), /ids/);
    }
    await expectRefused(() => model.embed(Int32Array.of(1, 2), new Float32Array(TINY.hidden)), /out/);
    const shapes: Loose[] = [
      ...BAD_SIZES.flatMap((size) => [{ vocabSize: size }, { hiddenSize: size }]),
      { blocks: 3 },
      { blocks: [{}] },
      { blocks: [{ kvHeads: -1, headDim: 8 }] },
      { blocks: [{ kvHeads: 2, headDim: 0 }] },
    ];
    for (const fields of shapes) await expectRefused(() => engine().createModel(changed(TINY_SHAPE, fields)), /./);
  });

  it("refuses passes that do not fit model and cache, and changes nothing", async () => {
    const { model, context, cache } = tinyModel(engine());
    const pass = tinyPass(cache);
    const other = engine().createModel({ ...TINY_SHAPE, blocks: [] });
    const wrong: Loose[] = [
      ...BAD_SIZES.flatMap((size) => [{ rows: size }, { from: size }, { to: size }]),
      { rows: 2 },
      { rows: 4 },
      { from: 2, to: 1 },
      { to: 3 },
      { input: new Float32Array(5) },
      { input: new Float64Array(3 * TINY.hidden) },
      { input: detached(new Float32Array(3 * TINY.hidden)) },
      { output: new Float32Array(5) },
      { output: detached(new Float32Array(3 * TINY.hidden)) },
      { spans: null },
      { spans: [] },
      { spans: [{ cache, position: 0, count: 2 }] },
      { spans: [{ cache, position: 1, count: 3 }] },
      { spans: [{ cache, position: -1, count: 3 }] },
      { spans: [{ cache: {}, position: 0, count: 3 }] },
      { spans: [{ cache: model, position: 0, count: 3 }] },
      { spans: [{ cache: null, position: 5, count: 3 }] },
      { spans: [{ cache, position: 0, count: 2 ** 31 }] },
      {
        spans: [
          { cache, position: 0, count: -3 },
          { cache: null, position: 0, count: 6 },
        ],
      },
      {
        spans: [
          { cache, position: 0, count: 1 },
          { cache, position: 1, count: 2 },
        ],
      },
      { spans: [{ cache: other.createCache({ maxTokens: 100, kvType: "f16" }), position: 0, count: 3 }] },
      { skipAttention: new Uint8Array(1) },
      { skipMlp: new Uint8Array(3) },
      { skipMlp: [0, 0] },
      { adapter: "none" },
      { adapter: 3 },
    ];
    for (const fields of wrong) await expectRefused(() => context.run(model, changed(pass, fields)), /./);
    await expectRefused(() => context.run(loose({}), pass), /model/);
    await expectRefused(() => context.run(loose(context), pass), /model/);
    await expectRefused(() => context.run(other, pass), /./);
    await expectRefused(() => context.run(model, tinyPass(cache, 101)), /./);
    expect(cache.length(0)).toBe(0);
    const logits: Loose[] = [
      { rows: Int32Array.of(3) },
      { rows: Int32Array.of(-1) },
      { rows: [0] },
      { head: "none" },
      { input: new Float32Array(7) },
      { output: new Float32Array(TINY.vocab - 1) },
      { norm: "yes" },
    ];
    for (const fields of logits) await expectRefused(() => context.logits(model, changed(tinyLogits(), fields)), /./);
    expect(await context.run(model, pass)).toBe(true);
    expect(cache.length(TINY.blocks - 1)).toBe(3);
    for (const length of BAD_SIZES) await expectRefused(() => cache.truncate(loose(length), 0), /length/);
    for (const block of [...BAD_SIZES, TINY.blocks]) await expectRefused(() => cache.length(loose(block)), /block/);
    await expectRefused(() => context.run(model, { ...pass, spans: [{ cache, position: 0, count: 3 }] }), /./);
    // A block without weights, and a model without a head.
    model.clearBlock(1);
    await expectRefused(() => context.run(model, tinyPass(cache, 3, 3)), /./);
    const empty = engine().createModel(TINY_SHAPE);
    await expectRefused(() => context.logits(empty, tinyLogits()), /./);
    await expectRefused(() => empty.embed(Int32Array.of(0), new Float32Array(TINY.hidden)), /./);
  });

  it("refuses whatever was disposed of", async () => {
    const own = theAddon().createEngine({ isa: ISAS[0], threads: 2 });
    const { model, context, cache } = tinyModel(own);
    const fork = cache.fork();
    cache.dispose();
    cache.dispose();
    await expectRefused(() => cache.length(0), /dispos/);
    await expectRefused(() => cache.fork(), /dispos/);
    await expectRefused(() => context.run(model, tinyPass(cache)), /dispos/);
    expect(await context.run(model, tinyPass(fork))).toBe(true);
    context.dispose();
    await expectRefused(() => context.run(model, tinyPass(fork, 3, 3)), /dispos/);
    const second = own.createContext({ activations: "f32" });
    model.dispose();
    await expectRefused(() => second.run(model, tinyPass(fork, 3, 3)), /dispos/);
    await expectRefused(() => model.createCache({ maxTokens: 5, kvType: "f32" }), /dispos/);
    own.dispose();
    own.dispose();
    await expectRefused(() => own.product(randomMatrix(4, 4), new Float32Array(4), new Float32Array(4)), /dispos/);
    await expectRefused(() => own.createContext({ activations: "int8" }), /dispos/);
    await expectRefused(() => own.createModel(TINY_SHAPE), /dispos/);
    await expectRefused(() => own.offline.inverseUpperFactor(new Float64Array(1), 1), /dispos/);
  });

  it("refuses methods called on something else", async () => {
    const { model, context, cache } = tinyModel(engine());
    const steal =
      (method: unknown, self: unknown, ...values: unknown[]) =>
      () =>
        loose(method).apply(self, values);
    await expectRefused(steal(model.embed, context, Int32Array.of(0), new Float32Array(TINY.hidden)), /./);
    await expectRefused(steal(context.run, cache, model, tinyPass(cache)), /./);
    await expectRefused(steal(cache.length, model, 0), /./);
    await expectRefused(steal(cache.length, {}, 0), /./);
    await expectRefused(steal(engine().product, undefined), /./);
  });
});
