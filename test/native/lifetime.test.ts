import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ADDON_FILE, ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS, theAddon } from "./engines.ts";
import { TINY, TINY_SHAPE, tinyBlock, tinyLogits, tinyModel, tinyPass } from "./tiny-model.ts";

const engine = (threads = 2) => engineOf(ISAS[ISAS.length - 1], threads);

// biome-ignore lint/suspicious/noExplicitAny: arguments that no type describes.
const loose = (value: unknown): any => value;

/** A promise's outcome as a word. */
const outcome = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    (value) => `resolved ${value}`,
    (error: unknown) => `rejected ${error instanceof Error}`,
  );

describe.skipIf(!HAS_ADDON)(`lifetimes and concurrency (${ADDON_STATE})`, () => {
  it("takes calls of one context in order, and those of two side by side", async () => {
    const { model, context, cache } = tinyModel(engine());
    const passes = Array.from({ length: 10 }, (_, i) => tinyPass(null, 1 + i));
    const second = engine().createContext({ activations: "int8" });
    const alone: Float32Array[] = [];
    for (const pass of passes) {
      await context.run(model, pass);
      alone.push(pass.output.slice());
      pass.output.fill(0);
    }
    const all = passes.map((pass, i) => (i % 2 ? second : context).run(model, pass));
    expect(await Promise.all(all)).toEqual(passes.map(() => true));
    for (const [i, pass] of passes.entries()) expectBits(pass.output, alone[i], `pass ${i}`);
    // Passes of one cache one after the other without waiting: either refused or as if waited for.
    const first = context.run(model, tinyPass(cache, 3, 0));
    const next = await outcome(Promise.resolve().then(() => context.run(model, tinyPass(cache, 3, 3))));
    expect(await first).toBe(true);
    expect(["resolved true", "rejected true"]).toContain(next);
    expect(cache.length(0)).toBe(next === "resolved true" ? 6 : 3);
  });

  it("stops between blocks when told, and goes on afterwards", async () => {
    const deep = 64;
    const model = engine().createModel({
      ...TINY_SHAPE,
      blocks: Array.from({ length: deep }, () => TINY_SHAPE.blocks[0]),
    });
    for (let block = 0; block < deep; block++) model.setBlock(block, tinyBlock());
    const context = engine().createContext({ activations: "int8" });
    const pass = (rows: number) => ({ ...tinyPass(null, rows), to: deep });
    const whole = pass(2);
    expect(await context.run(model, whole)).toBe(true);
    let stopped = 0;
    for (let i = 0; i < 20 && stopped === 0; i++) {
      const long = context.run(model, pass(2000));
      context.abort();
      if (!(await long)) stopped++;
    }
    expect(stopped).toBe(1);
    // An abort without a call stops nothing later.
    context.abort();
    const again = pass(2);
    expect(await context.run(model, again)).toBe(true);
    expectBits(again.output, whole.output, "after an abort");
  });

  it("keeps everything alive that a call under way needs", async () => {
    const own = theAddon().createEngine({ isa: ISAS[ISAS.length - 1], threads: 2 });
    const { model, context, cache } = tinyModel(own);
    const expected = tinyPass(null, 40);
    await context.run(model, expected);
    const pass = tinyPass(cache, 40);
    const running = context.run(model, pass);
    const word = outcome(running);
    for (const thing of [cache, context, model, own]) thing.dispose();
    expect(await word).toBe("resolved true");
    const f16 = pass.output;
    expect(f16.every(Number.isFinite)).toBe(true);
    expect(f16.some((value, i) => value !== pass.input[i])).toBe(true);
  });

  it("does not let weights be changed under a call", async () => {
    const { model, context } = tinyModel(engine());
    const expected = tinyPass(null, 100);
    await context.run(model, expected);
    const pass = tinyPass(null, 100);
    const running = context.run(model, pass);
    // Refused while in use, or done after the call: its numbers stay the old ones.
    for (const change of [() => model.clearBlock(0), () => model.setBlock(1, tinyBlock())]) {
      try {
        change();
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
    expect(await running).toBe(true);
    expectBits(pass.output, expected.output, "while weights were to change");
  });

  it("survives getters that dispose of what was already looked at", async () => {
    const traps = ["input", "output", "skipAttention", "skipMlp", "adapter", "spans"] as const;
    for (const trap of traps) {
      for (const victim of ["cache", "model", "context"] as const) {
        const tiny = tinyModel(engine());
        const { model, context, cache } = tiny;
        const pass = tinyPass(cache);
        const value = pass[trap];
        Object.defineProperty(pass, trap, {
          get() {
            tiny[victim].dispose();
            return value;
          },
        });
        const word = await outcome(Promise.resolve().then(() => context.run(model, pass)));
        expect(["resolved true", "rejected true"]).toContain(word);
      }
    }
    const { model, context } = tinyModel(engine());
    const logits = tinyLogits();
    Object.defineProperty(logits, "output", {
      get() {
        model.dispose();
        return new Float32Array(TINY.vocab);
      },
    });
    expect(["resolved true", "rejected true"]).toContain(
      await outcome(Promise.resolve().then(() => context.logits(model, logits))),
    );
  });

  it("survives any value anywhere in a pass", async () => {
    const { model, context, cache } = tinyModel(engine());
    const odd = fc.constantFrom<unknown>(
      undefined,
      null,
      0,
      -1,
      3,
      1e99,
      Number.NaN,
      2 ** 31,
      2 ** 32 + 1,
      "0",
      true,
      {},
      [],
      [null],
      cache,
      model,
      new Float32Array(3 * TINY.hidden),
      new Float32Array(2),
      new Uint8Array(TINY.blocks),
      new Int32Array(2),
      () => 1,
      Symbol("s"),
      5n,
    );
    const key = fc.constantFrom(
      "input",
      "output",
      "rows",
      "from",
      "to",
      "spans",
      "skipAttention",
      "skipMlp",
      "adapter",
    );
    const spanKey = fc.constantFrom("cache", "position", "count");
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, odd), { maxLength: 3 }),
        fc.array(fc.tuple(spanKey, odd), { maxLength: 2 }),
        async (fields, spanFields) => {
          const { spans, ...rest } = tinyPass(null);
          const pass = {
            ...rest,
            spans: [{ ...spans[0], ...Object.fromEntries(spanFields) }],
            ...Object.fromEntries(fields),
          };
          const word = await outcome(Promise.resolve().then(() => context.run(model, loose(pass))));
          expect(["resolved true", "rejected true"]).toContain(word);
          cache.truncate(0, 0);
        },
      ),
      { numRuns: 400 },
    );
  });

  it("maps files privately", () => {
    const addon = theAddon();
    const file = path.resolve("package.json");
    const mapped = new Uint8Array(addon.mapFile(file, 0, 100));
    expect(new TextDecoder().decode(mapped)).toMatch(/^\{\s+"name": "layerwise"/);
    mapped[0] = 0;
    expect(new Uint8Array(addon.mapFile(file, 0, 1))[0]).toBe("{".charCodeAt(0));
  });

  it("shares a model between contexts", async () => {
    const { model } = tinyModel(engine());
    const contexts = [engine().createContext({ activations: "f32" }), engine().createContext({ activations: "f32" })];
    const passes = contexts.map(() => tinyPass(null, 7));
    await Promise.all(contexts.map((context, i) => context.run(model, passes[i])));
    expectBits(passes[0].output, passes[1].output, "two contexts");
    expect(contexts[0].scratchBytes()).toBeGreaterThan(0);
  });

  it("frees what is forgotten, also in the middle of calls", { timeout: 300_000 }, async () => {
    const script = path.resolve("test/native/collector-stress.mjs");
    const { stdout } = await promisify(execFile)(process.execPath, ["--expose-gc", script, ADDON_FILE], {
      timeout: 290_000,
    });
    const result: unknown = JSON.parse(stdout);
    expect(result).toEqual({ rounds: 60, bounded: true });
  });
});
