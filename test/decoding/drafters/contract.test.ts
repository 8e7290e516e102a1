import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ZodOptional } from "zod";
import { chooseDecode } from "../../../src/decoding/choose-decode.ts";
import {
  ALL_DRAFTERS,
  DECODE_KINDS,
  type DecodeOptions,
  DRAFTERS,
  PLAIN,
} from "../../../src/decoding/drafters/index.ts";
import { exitSetOf } from "../../../src/decoding/exits/exit-set.ts";
import { type Generation, generate } from "../../../src/decoding/generate.ts";
import { type OpenModel, openModel } from "../../../src/decoding/open-model.ts";
import { EXECUTORS } from "../../../src/runtime/executors.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { makeStoriesWithExits } from "../artifact-with-exits.ts";

describe("the table of drafters", () => {
  it("calls each by its kind", () => {
    expect(ALL_DRAFTERS.map(({ kind }) => kind)).toEqual(DECODE_KINDS);
    expect(DECODE_KINDS.map((kind) => DRAFTERS[kind].kind)).toEqual(DECODE_KINDS);
  });

  it("has one schema for options of one name, all of them optional and described", () => {
    const all = ALL_DRAFTERS.flatMap(({ options }) => Object.entries(options.shape));
    expect(all.filter(([name, schema]) => all.some((other) => other[0] === name && other[1] !== schema))).toEqual([]);
    for (const [, schema] of all) {
      expect(schema).toBeInstanceOf(ZodOptional);
      expect(schema.description).toMatch(/\w/);
    }
  });
});

describe.each(TEST_EXECUTORS)("drafters on %s", (executor) => {
  const base = temporaryFolder();
  let model: OpenModel;
  let plain: Generation;

  const textOf = async (decode: DecodeOptions): Promise<Generation> => {
    using session = model.createSession();
    const ids = model.tokenizer.encode("Once upon a time");
    const pieces = generate(session, model.tokenizer, ids, { maxTokens: 24, ignoreEos: true, decode });
    for (;;) {
      const step = await pieces.next();
      if (step.done) return step.value;
    }
  };

  beforeAll(async () => {
    const folder = path.join(base, "exits");
    await makeStoriesWithExits(folder);
    model = await openModel(folder, { executor, threads: 1 });
    plain = await textOf({ kind: PLAIN.kind });
  });
  afterAll(() => model?.close());

  describe.each(ALL_DRAFTERS)("$kind", (drafter) => {
    const { kind, lossless, options, bench } = drafter;

    it("chooses what it can be asked for: asked for just that, it chooses the same", async () => {
      const chosen = await chooseDecode(model, { kind });
      const asked = Object.fromEntries(Object.entries(chosen).filter(([name]) => name in options.shape));
      expect(options.parse(asked)).toEqual(asked);
      expect(await chooseDecode(model, { kind, ...asked })).toEqual(chosen);
      expect(JSON.parse(JSON.stringify(drafter.describe(chosen)))).toMatchObject({ kind, ...asked });
    });

    it("gives as many tokens as wanted, plain decoding's where it says so, and counts them", async () => {
      const { ids, decoding } = await textOf(await chooseDecode(model, { kind }));
      expect(ids).toHaveLength(24);
      if (lossless && EXECUTORS[executor].traits.rowExact) expect(ids).toEqual(plain.ids);
      expect(decoding.kind).toBe(kind);
      expect(decoding.depths.reduce((sum, { tokens }) => sum + tokens, 0)).toBe(24);
      expect(decoding.accepted + decoding.wasted).toBe(decoding.drafted);
    });

    it("refuses the options of others", () => {
      expect(() => drafter.describe({ kind: "of another" })).toThrow(`decode: expected ${kind}, found of another`);
    });

    if (bench === null) return;
    it("is measured in variants, each of a kind that it has, under names of their own", async () => {
      const loaded = await model.loadExits();
      if (loaded === null) throw new Error("the artifact has no exits");
      const exits = exitSetOf(loaded.table, loaded.ids);
      const variants = await bench.variants({ exits, spec: model.executor.spec, model }, {});
      expect(variants.length).toBeGreaterThan(0);
      expect(new Set(variants.map(({ name }) => name)).size).toBe(variants.length);
      for (const variant of variants) {
        expect(variant.decode.kind).toBe(kind);
        expect(bench.kinds[variant.kind]?.(variant)).toMatch(/\w/);
      }
    });
  });
});
