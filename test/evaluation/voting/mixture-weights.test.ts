import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { mixtureWeights } from "../../../src/evaluation/voting/mixture-weights.ts";
import { Random } from "../../../src/tensor/random.ts";

const meanLog = (voters: readonly Float64Array[], weights: readonly number[]) => {
  const { length } = voters[0];
  let sum = 0;
  for (let token = 0; token < length; token++) {
    sum += Math.log(voters.reduce((all, voter, i) => all + weights[i] * Math.exp(voter[token]), 0));
  }
  return sum / length;
};
const probability = fc.double({ min: 1e-6, max: 1, noNaN: true });
const table = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 40 }))
  .chain(([voters, tokens]) =>
    fc.array(fc.array(probability, { minLength: tokens, maxLength: tokens }), { minLength: voters, maxLength: voters }),
  )
  .map((all) => all.map((voter) => Float64Array.from(voter, Math.log)));

describe("weights of a mixture", () => {
  it("are shares, and no voter alone or other mixture makes the tokens likelier", () =>
    fc.assert(
      fc.property(table, fc.array(probability, { minLength: 4, maxLength: 4 }), (voters, drawn) => {
        const weights = mixtureWeights(voters);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 9);
        const best = meanLog(voters, weights);
        const others = voters.map((_, i) => voters.map((_, k) => Number(i === k)));
        const mass = drawn.slice(0, voters.length).reduce((sum, weight) => sum + weight, 0);
        others.push(drawn.slice(0, voters.length).map((weight) => weight / mass));
        // What is left out counts less than 0.1 % each, and steps end at a gain of 1e-9.
        for (const other of others) expect(best).toBeGreaterThan(meanLog(voters, other) - 5e-3);
      }),
    ));

  it("are those that tokens were drawn with", () => {
    const random = new Random(5);
    const truth = [0.7, 0.3];
    const heads = [
      [0.8, 0.1, 0.1],
      [0.1, 0.2, 0.7],
    ];
    const drawFrom = (shares: readonly number[]) => {
      const at = random.next();
      let sum = 0;
      return shares.findIndex((share) => {
        sum += share;
        return at < sum;
      });
    };
    const tokens = Array.from({ length: 20_000 }, () => drawFrom(heads[drawFrom(truth)]));
    const voters = heads.map((head) => Float64Array.from(tokens, (token) => Math.log(head[token])));
    const [first, second] = mixtureWeights(voters);
    expect(first).toBeCloseTo(0.7, 1);
    expect(second).toBeCloseTo(0.3, 1);
  });

  it("leave out who adds nothing, and give all to one alone", () => {
    const good = Float64Array.from([-0.1, -0.2, -0.3]);
    const worse = Float64Array.from([-3, -4, Number.NEGATIVE_INFINITY]);
    expect(mixtureWeights([worse, good])).toEqual([0, 1]);
    expect(mixtureWeights([good])).toEqual([1]);
    // Far below what e^x holds.
    expect(mixtureWeights([good.map((value) => value - 2000), worse.map((value) => value - 2000)])).toEqual([1, 0]);
  });

  it("do not depend on the order of voters", () =>
    fc.assert(
      fc.property(table, (voters) => {
        const [one, other] = [mixtureWeights(voters), mixtureWeights([...voters].reverse()).reverse()];
        for (const [i, weight] of one.entries()) expect(other[i]).toBeCloseTo(weight, 6);
      }),
    ));
});
