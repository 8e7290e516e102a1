import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countVotes, type Vote } from "../../../src/decoding/exits/ballot.ts";
import { plainMaths } from "../../../src/maths/plain/plain-maths.ts";

const VOCAB = 6;
const logits = (count: number) =>
  fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: count, maxLength: count });
const softmax = (numbers: readonly number[]) => {
  const weights = numbers.map((number) => Math.exp(number - Math.max(...numbers)));
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / mass);
};
const whole = (numbers: readonly number[]) => ({ logits: Float32Array.from(numbers), ids: null });
const comparer = plainMaths.rowComparer();
const count = (votes: readonly Vote[], rows = 1) => countVotes(votes, { rows, vocabSize: VOCAB, comparer });
const probabilities = (logarithms: Float32Array) => Array.from(logarithms, Math.exp);

describe("countVotes", () => {
  it("is the formula of the paper", () =>
    fc.assert(
      fc.asyncProperty(fc.array(logits(VOCAB), { minLength: 1, maxLength: 4 }), async (voters) => {
        const shares = voters.map(softmax);
        const highest = Array.from({ length: VOCAB }, (_, id) => Math.max(...shares.map((share) => share[id])));
        const sum = highest.reduce((all, one) => all + one, 0);
        const found = probabilities(await count(voters.map(whole)));
        for (const [id, share] of found.entries()) expect(share).toBeCloseTo(highest[id] / sum, 5);
        expect(found.reduce((all, one) => all + one, 0)).toBeCloseTo(1, 5);
      }),
    ));

  it("does not depend on the order of voters, and one voter keeps its distribution", () =>
    fc.assert(
      fc.asyncProperty(logits(VOCAB), logits(VOCAB), async (one, other) => {
        const [a, b] = [whole(one), whole(other)];
        expect(await count([a, b])).toEqual(await count([b, a]));
        const shares = softmax(one);
        for (const [id, share] of probabilities(await count([a])).entries()) {
          expect(share).toBeCloseTo(shares[id], 5);
        }
      }),
    ));

  it("counts a voter over some ids for those, its tail for none; rows by themselves", async () => {
    const full = whole([0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0]);
    const some = { logits: Float32Array.of(9, 0, 0, 0, 0, 9), ids: Int32Array.of(4, 1) };
    const found = await count([full, some], 2);
    const [first, second] = [found.subarray(0, VOCAB), found.subarray(VOCAB)].map(probabilities);
    expect(first.indexOf(Math.max(...first))).toBe(4);
    expect(first[1]).toBe(first[0]);
    expect(second.indexOf(Math.max(...second))).toBe(0);
    expect((await count([some], 2))[0]).toBe(Number.NEGATIVE_INFINITY);
  });
});
