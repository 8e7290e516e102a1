import { describe, expect, it } from "vitest";
import type { NativeEngine } from "../../src/native/addon.ts";
import { emptyAnswers } from "../../src/runtime/head-answers.ts";
import { expectAnswers } from "../runtime/answer-bounds.ts";
import { ADDON_STATE, codecNamed, engineOf, expectBits, HAS_ADDON, ISAS, nativeMatrix, normals } from "./engines.ts";
import { changed, expectRefused, type Loose } from "./refusals.ts";
import { randomMatrix, TINY, tinyHead, tinyModel } from "./tiny-model.ts";

const fastest = ISAS[ISAS.length - 1];

/** A head whose logits are the rows themselves: the identity. */
function identity(width: number) {
  const values = new Float32Array(width * width).map((_, i) => (i % (width + 1) === 0 ? 1 : 0));
  const f32 = codecNamed("f32");
  return nativeMatrix(f32, width, width, f32.pack({ kind: "float", rows: width, cols: width, values }));
}

/** Answers to rows of logits. */
async function answersOn(engine: NativeEngine, matrix: ReturnType<typeof identity>, logits: Float32Array) {
  using model = engine.createModel({ vocabSize: matrix.rows, hiddenSize: matrix.rows, blocks: [] });
  using context = engine.createContext({ activations: "f32" });
  model.setHead("given", { norm: null, linear: { matrix, bias: null } });
  const count = logits.length / matrix.rows;
  const answers = emptyAnswers(count);
  const rows = Int32Array.from({ length: count }, (_, row) => row);
  await context.answers(model, { input: logits, rows, head: "given", norm: false, ...answers });
  return answers;
}

/** Rows of logits: near, far apart, all the same, and large. */
function sorts(width: number): Float32Array {
  const rows = [0.1, 3, 40].map((scale) => normals(width, `logits ${scale}`, scale));
  rows.push(
    new Float32Array(width).fill(-2),
    normals(width, "shifted").map((x) => x + 1000),
  );
  rows.push(normals(width, "rounded", 2).map(Math.round));
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

describe.skipIf(!HAS_ADDON)(`answers of the engine (${ADDON_STATE})`, () => {
  it.each([1, 2, 15, 16, 17, 63, 64, 65, 130, 1030])(
    "are the definition's within rounding: %i logits",
    async (width) => {
      const [matrix, logits] = [identity(width), sorts(width)];
      expectAnswers(await answersOn(engineOf(fastest), matrix, logits), logits, width);
    },
  );

  it("are the same bits on every table", async () => {
    const [matrix, logits] = [identity(300), sorts(300)];
    const expected = await answersOn(engineOf(ISAS[0]), matrix, logits);
    for (const isa of ISAS) {
      const found = await answersOn(engineOf(isa, 2), matrix, logits);
      expectBits(found.best, expected.best, isa);
      for (const name of ["entropy", "maxProbability", "margin"] as const) expectBits(found[name], expected[name], isa);
    }
  });

  it("have no finite entropy where a logit is not finite", async () => {
    const width = 70;
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      // The identity would spread it: a matrix of one row, and a tail.
      for (const at of [0, width - 1]) {
        const bias = new Float32Array(width);
        bias[at] = bad;
        const engine = engineOf(fastest);
        using model = engine.createModel({ vocabSize: width, hiddenSize: 1, blocks: [] });
        using context = engine.createContext({ activations: "f32" });
        model.setHead("given", { norm: null, linear: { matrix: randomMatrix(width, 1), bias } });
        const answers = emptyAnswers(1);
        const call = { input: Float32Array.of(1), rows: Int32Array.of(0), head: "given", norm: false };
        await context.answers(model, { ...call, ...answers });
        expect(Number.isFinite(answers.entropy[0]), `${bad} at ${at}`).toBe(false);
      }
    }
  });

  it("refuse what does not fit", async () => {
    const { model, context } = tinyModel(engineOf(fastest));
    const call = {
      input: normals(3 * TINY.hidden, "hidden"),
      ...{ rows: Int32Array.of(2, 0), head: "output", norm: true },
      ...emptyAnswers(2),
    };
    expect(await context.answers(model, call)).toBe(true);
    const shared = new Float32Array(8);
    const wrong: readonly (readonly [Loose, RegExp])[] = [
      [{ rows: Int32Array.of(3) }, /rows/],
      [{ rows: new Int32Array() }, /rows/],
      [{ head: "none" }, /head/],
      [{ norm: 1 }, /norm/],
      [{ input: new Float32Array(7) }, /input/],
      [{ best: new Int32Array(1) }, /best/],
      [{ best: new Float32Array(2) }, /best/],
      [{ entropy: new Float32Array(1) }, /entropy/],
      [{ maxProbability: undefined }, /maxProbability/],
      [{ margin: new Float64Array(2) }, /margin/],
      [{ entropy: shared.subarray(0, 2), margin: shared.subarray(1, 3) }, /margin: overlaps/],
      [{ best: new Int32Array(shared.buffer, 0, 2), margin: shared }, /margin: overlaps/],
      [{ margin: call.input }, /margin: overlaps/],
    ];
    for (const [i, [fields, message]] of wrong.entries()) {
      await expectRefused(() => context.answers(model, changed(call, fields)), message, `answers ${i}`);
    }
    const head = tinyHead();
    const linear = (rows: number, cols: number) => ({ matrix: randomMatrix(rows, cols), bias: null });
    const factors = { down: randomMatrix(4, TINY.hidden), up: randomMatrix(TINY.hidden, 4) };
    const heads: Loose[] = [
      { adapter: { ...factors, down: randomMatrix(4, 31) } },
      { adapter: { ...factors, up: randomMatrix(TINY.hidden, 5) } },
      { adapter: { ...factors, up: randomMatrix(31, 4) } },
      { adapter: { down: factors.down } },
      { adapter: 3 },
      { tail: linear(2, TINY.hidden) },
      { tail: linear(1, 31) },
      { tail: { ...linear(1, TINY.hidden), bias: new Float32Array(2) } },
    ];
    for (const [i, fields] of heads.entries()) {
      await expectRefused(() => model.setHead("exit", changed(head, fields)), /head/, `head ${i}`);
    }
    model.setHead("exit", { ...head, adapter: factors, tail: linear(1, TINY.hidden) });
    expect(await context.answers(model, { ...call, head: "exit" })).toBe(true);
    // A head in use stays what it is until the call is over.
    const underWay = context.answers(model, call);
    await expectRefused(() => model.setHead("output", head), /in use/);
    expect(await underWay).toBe(true);
  });
});
