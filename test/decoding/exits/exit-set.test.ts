import { describe, expect, it } from "vitest";
import { acceptedId, confidencesOf, createSpread, type ExitSet } from "../../../src/decoding/exits/exit-set.ts";

import { answersOf } from "../../../src/runtime/head-answers.ts";

describe("acceptedId", () => {
  const set = (confidence: ExitSet["confidence"], ids: Int32Array | null): ExitSet => ({
    ...{ exits: [], levels: [], confidence, ids },
  });
  /** Of two rows: the second is less sure, and of another id. */
  const answers = answersOf(Float32Array.of(0, 5, 0, 1, 0, 0), 3);

  it("takes an answer at the threshold or surer, of each metric", () => {
    for (const metric of ["entropy", "max", "margin"] as const) {
      const values = confidencesOf(answers, metric);
      const less = metric === "entropy" ? values[0] - 1e-6 : values[0] + 1e-6;
      expect(acceptedId(set(metric, null), answers, values[0])).toBe(1);
      expect(acceptedId(set(metric, null), answers, less)).toBeNull();
      expect(acceptedId(set(metric, null), answers, null)).toBeNull();
      expect(acceptedId(set(metric, null), answers, values[0], 1)).toBeNull();
      expect(acceptedId(set(metric, null), answers, values[1], 1)).toBe(0);
    }
  });

  it("maps the index to its id, and never takes the tail", () => {
    const loose = Number.POSITIVE_INFINITY;
    expect(acceptedId(set("entropy", Int32Array.of(90, 70)), answers, loose)).toBe(70);
    expect(acceptedId(set("entropy", Int32Array.of(90)), answers, loose)).toBeNull();
  });
});

it("spreads a head's logits over the vocabulary, the tail left out", () => {
  const spread = createSpread(Int32Array.of(3, 1), 5);
  const none = Number.NEGATIVE_INFINITY;
  expect(Array.from(spread(Float32Array.of(1, 2, 9)))).toEqual([none, 2, none, 1, none]);
});
