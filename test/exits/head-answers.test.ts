import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Confidence } from "../../src/artifact/exits.ts";
import { rowAnswer } from "../../src/exits/head-answers.ts";

describe("rowAnswer", () => {
  it("is argmax and confidence of the softmax", () => {
    const rows = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(rows, (values) => {
        const logits = Float32Array.from(values);
        const exponentials = Array.from(logits, (value) => Math.exp(value));
        const sum = exponentials.reduce((total, value) => total + value, 0);
        const shares = exponentials.map((value) => value / sum);
        const [first, second] = [...shares].sort((a, b) => b - a);
        const entropy = shares.reduce((total, share) => (share > 0 ? total - share * Math.log(share) : total), 0);
        const wanted = { entropy, max: first, margin: first - second };
        for (const metric of Confidence.options) {
          const { best, confidence } = rowAnswer(logits, metric);
          expect(best).toBe(logits.indexOf(Math.max(...logits)));
          expect(confidence).toBeCloseTo(wanted[metric], 9);
        }
      }),
    );
  });
});
