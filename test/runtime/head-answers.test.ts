import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { answersByLogits, answersFor, answersOf, emptyAnswers } from "../../src/runtime/head-answers.ts";
import { Random } from "../../src/tensor/random.ts";
import { expectAnswers } from "./answer-bounds.ts";

function normals(length: number, seed: number, scale: number): Float32Array {
  const random = new Random(seed).fork("answers");
  return Float32Array.from({ length }, () => scale * random.nextNormal());
}

describe("answers to rows of logits", () => {
  it("are what the definition says, for any width and spread", () => {
    const shape = fc.record({
      rows: fc.integer({ min: 1, max: 3 }),
      width: fc.integer({ min: 1, max: 200 }),
      scale: fc.constantFrom(0, 0.1, 3, 50),
      seed: fc.nat(),
    });
    fc.assert(
      fc.property(shape, ({ rows, width, scale, seed }) => {
        const logits = normals(rows * width, seed, scale);
        expectAnswers(answersOf(logits, width), logits, width);
      }),
      { numRuns: 50 },
    );
  });

  it("are exact where they can be: a row of equal logits, two that share the lead, a single one", () => {
    const equal = answersOf(new Float32Array(8).fill(-3), 8);
    expect([equal.best[0], equal.maxProbability[0], equal.margin[0]]).toEqual([0, 0.125, 0]);
    expect(equal.entropy[0]).toBeCloseTo(Math.log(8), 6);
    const two = answersOf(Float32Array.of(-1000, 7, 0, 7), 4);
    expect([two.best[0], two.margin[0]]).toEqual([1, 0]);
    expect(two.maxProbability[0]).toBeCloseTo(0.5, 3);
    const one = answersOf(Float32Array.of(5), 1);
    expect([one.best[0], one.entropy[0], one.maxProbability[0], one.margin[0]]).toEqual([0, 0, 1, 1]);
  });

  it("are refused where a logit is not finite", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (const at of [3, 5]) {
        const logits = Float32Array.of(1, 2, 3, 1, 2, 3);
        logits[at] = bad;
        expect(() => answersOf(logits, 3)).toThrow("logits of row 1: expected finite numbers");
      }
    }
  });

  it("go where they are wanted, a bounded number of logits at a time", async () => {
    const width = 2 ** 20;
    const asked: number[] = [];
    const into = emptyAnswers(6);
    into.best.fill(-1);
    const logitsOf = async (rows: Int32Array) => {
      asked.push(rows.length);
      const logits = new Float32Array(rows.length * width);
      rows.forEach((row, i) => {
        logits[i * width + row] = 1;
      });
      return logits;
    };
    const found = await answersByLogits(Int32Array.of(40, 10, 30, 20, 0), width, into, logitsOf);
    expect(found).toBe(into);
    expect([...into.best]).toEqual([40, 10, 30, 20, 0, -1]);
    expect(asked).toEqual([2, 2, 1]);
  });

  it("need room", () => {
    const into = { ...emptyAnswers(3), margin: new Float32Array(2) };
    expect(answersFor(2, into)).toBe(into);
    expect(() => answersFor(3, into)).toThrow("expected room for 3 rows, found 2");
    expect(answersFor(3, undefined).best).toHaveLength(3);
  });
});
