import { describe, expect, it } from "vitest";
import type { NativeCapture, NativePass } from "../../src/native/addon.ts";
import { createNativeExecutor } from "../../src/runtime/native/executor.ts";
import { packedSource, randomSource, smallSpec } from "../runtime/random-model.ts";
import { ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS, normals } from "./engines.ts";
import { detached, expectRefused, loose } from "./refusals.ts";
import { TINY, tinyBlock, tinyModel, tinyPass } from "./tiny-model.ts";

const WIDTHS = { attention: TINY.hidden, output: TINY.heads * TINY.headDim, mlp: TINY.hidden, down: TINY.ffn };
type Kind = keyof typeof WIDTHS;
const KINDS: readonly Kind[] = ["attention", "output", "mlp", "down"];

/** Arrays for `rows` rows, of no numbers yet. */
const arrays = (rows: number, kinds = KINDS): NativeCapture =>
  Object.fromEntries(kinds.map((kind) => [kind, new Float32Array(rows * WIDTHS[kind]).fill(Number.NaN)]));

const onePass = (rows: number, fields: Partial<NativePass>): NativePass => ({
  ...tinyPass(null, rows),
  to: 1,
  ...fields,
});

describe.skipIf(!HAS_ADDON)(`capture of inputs (${ADDON_STATE})`, () => {
  it("gives the same bits on every table, by any threads, and does not change the pass", async () => {
    for (const rows of [1, 3, 200]) {
      let expected: NativeCapture | null = null;
      for (const isa of ISAS) {
        for (const threads of [1, 3]) {
          const { model, context } = tinyModel(engineOf(isa, threads));
          const [plain, watched] = [onePass(rows, {}), onePass(rows, { capture: arrays(rows) })];
          await context.run(model, plain);
          await context.run(model, watched);
          expectBits(watched.output, plain.output, "output");
          const capture = watched.capture ?? {};
          for (const kind of KINDS) {
            const found = capture[kind] ?? new Float32Array(0);
            expect(found.every(Number.isFinite)).toBe(true);
            expectBits(found, expected?.[kind] ?? found, `${isa} ${threads} ${kind}`);
          }
          expected ??= capture;
        }
      }
    }
  });

  it("fills only what was asked for", async () => {
    const { model, context } = tinyModel(engineOf(ISAS[ISAS.length - 1], 2));
    const all = onePass(9, { capture: arrays(9) });
    await context.run(model, all);
    for (const kind of KINDS) {
      const one = onePass(9, { capture: arrays(9, [kind]) });
      await context.run(model, one);
      expectBits(one.capture?.[kind] ?? new Float32Array(0), all.capture?.[kind] ?? new Float32Array(1), kind);
    }
  });

  it("gives f32 rows also where products take int8", async () => {
    const source = await packedSource(randomSource(smallSpec()), "q8s-g32");
    const first = await Promise.all(
      (["int8", "f32"] as const).map(async (activations) => {
        await using executor = await createNativeExecutor(source, { activations, threads: 2 });
        const hidden = executor.write(normals(6 * 16, "x"), 6);
        const seen: Float32Array[] = [];
        const output = await executor.runBlocks(hidden, 0, 1, [{ cache: null, position: 0, count: 6 }], {
          inputs: ({ data }) => void seen.push(data.slice()),
        });
        for (const state of [hidden, output]) executor.release(state);
        return seen;
      }),
    );
    const [int8, f32] = first;
    expect(int8).toHaveLength(4);
    expectBits(int8[0], f32[0], "the first input, which no rounding has reached");
    expect(int8[3]).not.toEqual(f32[3]);
    int8[3].forEach((value, i) => {
      expect(Math.abs(value - f32[3][i])).toBeLessThan(0.1);
    });
  });

  it("refuses arrays that do not fit the pass", async () => {
    const { model, context } = tinyModel(engineOf(ISAS[ISAS.length - 1]));
    const refused = (capture: unknown, message: RegExp, fields: Partial<NativePass> = {}) =>
      expectRefused(() => context.run(model, onePass(3, { capture: loose(capture), ...fields })), message);
    await refused(4, /capture/);
    await refused({ attention: [] }, /attention/);
    await refused({ output: new Float32Array(3 * WIDTHS.output - 1) }, /output/);
    await refused({ down: new Float32Array(3 * WIDTHS.down + 1) }, /down/);
    await refused({ down: new Float64Array(3 * WIDTHS.down) }, /down/);
    await refused({ mlp: detached(new Float32Array(3 * WIDTHS.mlp)) }, /mlp/);
    await refused(arrays(3), /one block/, { to: 2 });
    await refused(arrays(3), /one block/, { to: 0 });
    await refused(arrays(3), /attention.*no such input/, { skipAttention: Uint8Array.of(1, 0) });
    await refused(arrays(3), /mlp.*no such input/, { skipMlp: Uint8Array.of(1, 0) });
    const input = normals(3 * TINY.hidden, "input");
    await refused({ attention: input }, /overlaps/, { input });
    const both = new Float32Array(3 * (WIDTHS.mlp + WIDTHS.attention) - 1);
    const [a, b] = [both.subarray(0, 3 * WIDTHS.attention), both.subarray(3 * WIDTHS.attention - 1)];
    await refused({ attention: a, mlp: b }, /overlaps/);
    model.setBlock(0, { ...tinyBlock(), parallel: true, mlpNorm: null });
    await refused(arrays(3), /mlp.*no such input/);
    await context.run(model, onePass(3, { capture: arrays(3, ["attention", "output", "down"]) }));
  });
});
