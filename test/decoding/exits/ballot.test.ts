import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ballot, type Vote } from "../../../src/decoding/exits/ballot.ts";
import { VOTE_RULE_IDS, VOTE_RULES, type VoteRuleId } from "../../../src/decoding/exits/vote-rules/index.ts";
import { plainMaths } from "../../../src/maths/plain/plain-maths.ts";

const VOCAB = 6;
const comparer = plainMaths.rowComparer();
const logits = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: VOCAB, maxLength: VOCAB });
const voters = fc.array(fc.record({ logits, weight: fc.double({ min: 0.01, max: 10, noNaN: true }) }), {
  minLength: 1,
  maxLength: 4,
});
const softmax = (numbers: readonly number[]) => {
  const weights = numbers.map((number) => Math.exp(number - Math.max(...numbers)));
  return normalised(weights);
};
const normalised = (weights: readonly number[]) => {
  const mass = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / mass);
};
const whole = (numbers: readonly number[]): Vote => ({ logits: Float32Array.from(numbers), ids: null });
const probabilities = (logarithms: Float32Array) => Array.from(logarithms, Math.exp);

async function count(rule: VoteRuleId, votes: readonly (readonly [Vote, number])[], rows = 1): Promise<Float32Array> {
  const ballot = new Ballot({ rows, vocabSize: VOCAB, rule: VOTE_RULES[rule], comparer });
  for (const [vote, weight] of votes) await ballot.add(vote, weight);
  return ballot.count();
}

/** What each rule says, from its formula. */
const FORMULAS: Readonly<Record<VoteRuleId, (shares: readonly number[]) => number>> = {
  max: (shares) => Math.max(...shares),
  weighted: (shares) => shares.reduce((sum, share) => sum + share, 0),
};

describe.each(VOTE_RULE_IDS)("a ballot by the rule %s", (rule) => {
  it("is its formula, and sums to 1", () =>
    fc.assert(
      fc.asyncProperty(voters, async (all) => {
        const shares = all.map(({ logits, weight }) => softmax(logits).map((share) => share * weight));
        const ids = Array.from({ length: VOCAB }, (_, id) => id);
        const expected = normalised(ids.map((id) => FORMULAS[rule](shares.map((share) => share[id]))));
        const votes = all.map(({ logits, weight }) => [whole(logits), weight] as const);
        const found = probabilities(await count(rule, votes));
        for (const id of ids) expect(found[id]).toBeCloseTo(expected[id], 5);
        expect(found.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 5);
      }),
    ));

  it("does not depend on the order of voters", () =>
    fc.assert(
      fc.asyncProperty(voters, fc.infiniteStream(fc.nat()), async (all, keys) => {
        const votes = all.map(({ logits, weight }) => [whole(logits), weight] as const);
        const drawn = votes.map((vote) => ({ vote, key: keys.next().value ?? 0 }));
        const shuffled = drawn.sort((a, b) => a.key - b.key).map(({ vote }) => vote);
        const [one, other] = [await count(rule, votes), await count(rule, shuffled)];
        for (const [id, value] of one.entries()) expect(other[id]).toBeCloseTo(value, 4);
      }),
    ));

  it("keeps the distribution of a voter alone, whatever its weight", () =>
    fc.assert(
      fc.asyncProperty(voters, async ([{ logits, weight }]) => {
        const found = probabilities(await count(rule, [[whole(logits), weight]]));
        for (const [id, share] of softmax(logits).entries()) expect(found[id]).toBeCloseTo(share, 5);
      }),
    ));

  it("counts a voter over some ids for those, its tail for none; rows by themselves", async () => {
    const full = whole([0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0]);
    const some = { logits: Float32Array.of(9, 0, 0, 0, 0, 9), ids: Int32Array.of(4, 1) };
    const found = await count(
      rule,
      [
        [full, 1],
        [some, 1],
      ],
      2,
    );
    const [first, second] = [found.subarray(0, VOCAB), found.subarray(VOCAB)].map(probabilities);
    expect(first.indexOf(Math.max(...first))).toBe(4);
    expect(first[1]).toBeCloseTo(first[0], 3);
    expect(second.indexOf(Math.max(...second))).toBe(0);
    expect((await count(rule, [[some, 1]], 2))[0]).toBe(Number.NEGATIVE_INFINITY);
  });
});
