import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { NativeCache, NativeContext, NativeModel } from "../../src/native/addon.ts";
import { ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS } from "./engines.ts";
import { TINY, TINY_SHAPE, tinyBlock, tinyPass } from "./tiny-model.ts";

const MAX_TOKENS = 400;
const PAGE = 64;
const KV_TYPES = ["f16", "f32", "q8"] as const;

/** What a page of one block takes: keys and values of 64 positions, and q8's scales. */
function pageBytes(kvType: (typeof KV_TYPES)[number]): number {
  const vector = { f16: 2 * TINY.headDim, f32: 4 * TINY.headDim, q8: TINY.headDim + 4 }[kvType];
  return 2 * PAGE * TINY.kvHeads * vector;
}

function loadedModel(window: number): { model: NativeModel; context: NativeContext } {
  const engine = engineOf(ISAS[ISAS.length - 1]);
  const model = engine.createModel(TINY_SHAPE);
  const block = tinyBlock();
  const attention = block.attention && { ...block.attention, window };
  for (let i = 0; i < TINY.blocks; i++) model.setBlock(i, { ...block, attention });
  return { model, context: engine.createContext({ activations: "int8" }) };
}

/** Feeds `rows` rows that depend on their number alone, and returns what comes out. */
async function feed({ model, context }: ReturnType<typeof loadedModel>, cache: NativeCache, rows: number) {
  const pass = tinyPass(cache, rows, cache.length(0));
  await context.run(model, pass);
  return pass.output;
}

/** A sequence beside the numbers of rows that a cache of its own would have been fed since its last truncation. */
interface Sequence {
  cache: NativeCache;
  fed: number[];
}

const ACTIONS = fc.array(
  fc.record({
    what: fc.constantFrom("feed", "feed", "feed", "fork", "restart", "close"),
    which: fc.nat(),
    rows: fc.integer({ min: 1, max: 150 }),
  }),
  { minLength: 5, maxLength: 25 },
);

describe.skipIf(!HAS_ADDON)(`pages that pass from sequence to sequence (${ADDON_STATE})`, () => {
  it.each(KV_TYPES)("hold nothing of whoever had them before: %s", async (kvType) => {
    const loaded = loadedModel(0);
    const create = () => loaded.model.createCache({ maxTokens: MAX_TOKENS, kvType });
    const property = fc.asyncProperty(ACTIONS, async (actions) => {
      const open: Sequence[] = [{ cache: create(), fed: [] }];
      for (const { what, which, rows } of actions) {
        const at = which % open.length;
        const sequence = open[at];
        const length = sequence.cache.length(0);
        if (what === "fork") open.push({ cache: sequence.cache.fork(), fed: [...sequence.fed] });
        if (what === "restart") {
          sequence.cache.truncate(0, 0);
          sequence.fed = [];
        }
        if (what === "close" && open.length > 1) open.splice(at, 1)[0].cache.dispose();
        if (what === "feed" && length + rows <= MAX_TOKENS) {
          await feed(loaded, sequence.cache, rows);
          sequence.fed.push(rows);
        }
      }
      // Each sequence goes on as one that was fed the same alone.
      for (const { cache, fed } of open) {
        const alone = create();
        for (const rows of fed) await feed(loaded, alone, rows);
        expect(cache.byteLength()).toBe(Math.ceil(cache.length(0) / PAGE) * TINY.blocks * pageBytes(kvType));
        if (cache.length(0) + 2 <= MAX_TOKENS)
          expectBits(await feed(loaded, cache, 2), await feed(loaded, alone, 2), `fed ${fed}`);
        cache.dispose();
        alone.dispose();
      }
    });
    await fc.assert(property, { numRuns: 10 });
  });

  it("are taken again where a sliding window lets go of them", async () => {
    const window = 40;
    const loaded = loadedModel(window);
    const create = () => loaded.model.createCache({ maxTokens: 4000, kvType: "f16" });
    const [first, second, forked] = [create(), create(), create()];
    const forks: NativeCache[] = [];
    const mostPages = Math.ceil((window + 64) / PAGE) + 1;
    for (let i = 0; i < 60; i++) {
      const one = await feed(loaded, first, 10);
      expectBits(await feed(loaded, second, 10), one, `both sequences, step ${i}`);
      expectBits(await feed(loaded, forked, 10), one, `with a fork, step ${i}`);
      if (i % 7 === 0) forks.push(forked.fork());
      expect(first.byteLength()).toBeLessThanOrEqual(mostPages * TINY.blocks * pageBytes("f16"));
    }
    // What forks held meanwhile is theirs: they go on from where they were made.
    const again = create();
    await feed(loaded, again, 10);
    expectBits(await feed(loaded, forks[0], 10), await feed(loaded, again, 10), "the first fork");
    for (const cache of [first, second, forked, again, ...forks]) cache.dispose();
  });
});
