import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { acceptedId, type ExitSet } from "../../../src/decoding/speculative/exit-set.ts";
import { answerOf, confidenceOf } from "../../../src/decoding/speculative/head-answers.ts";
import { createSpread } from "../../../src/decoding/speculative/spread-logits.ts";
import { softmax } from "../../../src/tensor/ops.ts";

describe("answerOf", () => {
  it("is what the softmax of the logits says", () => {
    const logits = fc.float32Array({ minLength: 2, maxLength: 40, min: -20, max: 20, noNaN: true });
    fc.assert(
      fc.property(logits, (row) => {
        const p = softmax(row);
        const [first, second] = Array.from(p).sort((a, b) => b - a);
        const answer = answerOf(row);
        expect(answer.best).toBe(row.indexOf(Math.max(...row)));
        expect(answer.maxProbability).toBeCloseTo(first, 5);
        expect(answer.margin).toBeCloseTo(first - second, 5);
        const entropy = p.reduce((sum, x) => sum - (x > 0 ? x * Math.log(x) : 0), 0);
        expect(answer.entropy).toBeCloseTo(entropy, 4);
      }),
    );
  });

  it("keeps to numbers where a logit is -Infinity, or there is one only", () => {
    expect(answerOf(Float32Array.of(1, Number.NEGATIVE_INFINITY))).toEqual({
      ...{ best: 0, maxProbability: 1, margin: 1 },
      entropy: 0,
    });
    expect(answerOf(Float32Array.of(3))).toMatchObject({ best: 0, margin: 1, entropy: 0 });
  });
});

describe("acceptedId", () => {
  const set = (confidence: ExitSet["confidence"], ids: Int32Array | null): ExitSet => ({
    ...{ exits: [], levels: [], confidence, ids },
  });
  const sure = answerOf(Float32Array.of(0, 5, 0));

  it("takes an answer at the threshold or surer, of each metric", () => {
    for (const metric of ["entropy", "max", "margin"] as const) {
      const value = confidenceOf(sure, metric);
      const less = metric === "entropy" ? value - 1e-6 : value + 1e-6;
      expect(acceptedId(set(metric, null), sure, value)).toBe(1);
      expect(acceptedId(set(metric, null), sure, less)).toBeNull();
      expect(acceptedId(set(metric, null), sure, null)).toBeNull();
    }
  });

  it("maps the index to its id, and never takes the tail", () => {
    const loose = Number.POSITIVE_INFINITY;
    expect(acceptedId(set("entropy", Int32Array.of(90, 70)), sure, loose)).toBe(70);
    expect(acceptedId(set("entropy", Int32Array.of(90)), sure, loose)).toBeNull();
  });
});

it("spreads a head's logits over the vocabulary, the tail left out", () => {
  const spread = createSpread(Int32Array.of(3, 1), 5);
  const none = Number.NEGATIVE_INFINITY;
  expect(Array.from(spread(Float32Array.of(1, 2, 9)))).toEqual([none, 2, none, 1, none]);
});
