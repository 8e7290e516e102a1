import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type DecoderSpec, matricesOf } from "../../../src/model/decoder-spec.ts";
import { probedMatrices, spreadProbes } from "../../../src/scoring/kl/spread-probes.ts";
import type { Losses } from "../../../src/scoring/scores.ts";
import { tinySpec } from "../tiny-model.ts";

const blocksOf = (ids: Iterable<string>, role: string) =>
  [...ids].filter((id) => id.endsWith(role)).map((id) => Number(id.split(".")[1]));

/** Errors of all matrices: one more a block, other ones of another codec. */
const errorsOf = (spec: DecoderSpec): Losses =>
  Object.fromEntries(matricesOf(spec).map(({ id, block }) => [id, { q3: 1 + (block ?? 0), q4: 0.1 }]));

/** The probed matrices' part of a table. */
const probedOf = (spec: DecoderSpec, every: number, losses: Losses): Losses =>
  Object.fromEntries([...probedMatrices(spec, every)].map((id) => [id, losses[id]]));

describe("probedMatrices", () => {
  it("takes the first two, every n-th and the last of each role, embedding and head", () => {
    const ids = probedMatrices(tinySpec(10), 4);
    for (const role of ["attn.q", "mlp.down"]) expect(blocksOf(ids, role)).toEqual([0, 1, 4, 8, 9]);
    expect([ids.has("embedding"), ids.has("head"), ids.size]).toEqual([true, true, 2 + 5 * 7]);
  });

  it("takes all where each is asked for, and of any model", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 20 }), (blocks, every) => {
        const spec = tinySpec(blocks, true);
        const ids = probedMatrices(spec, every);
        expect(ids.has(`blocks.${blocks - 1}.mlp.up`)).toBe(true);
        if (every === 1)
          expect([...ids].sort()).toEqual(
            matricesOf(spec)
              .map(({ id }) => id)
              .sort(),
          );
      }),
    );
  });

  it("counts the matrices that a role has, where blocks differ", () => {
    const spec = tinySpec(8);
    const blocks = spec.blocks.map((block, i) => (i % 2 === 0 ? { ...block, attention: null } : block));
    expect(blocksOf(probedMatrices({ ...spec, blocks }, 2), "attn.q")).toEqual([1, 3, 5, 7]);
    expect(blocksOf(probedMatrices({ ...spec, blocks }, 3), "attn.o")).toEqual([1, 3, 7]);
  });
});

describe("spreadProbes", () => {
  const spec = tinySpec(6);
  const errors = errorsOf(spec);

  it("gives back a ratio that is straight in logarithms over the blocks, by role and codec", () => {
    const losses: Losses = Object.fromEntries(
      matricesOf(spec).map(({ id, role, block }) => {
        const ratio = Math.exp((role === "attn.q" ? -1 : 0.5) * (block ?? 0));
        return [id, { q3: errors[id].q3 * ratio, q4: 7 * errors[id].q4 * ratio }];
      }),
    );
    const spread = spreadProbes(spec, probedOf(spec, 4, losses), errors);
    expect(Object.keys(spread).sort()).toEqual(Object.keys(losses).sort());
    for (const [id, byCodec] of Object.entries(losses))
      for (const [codec, loss] of Object.entries(byCodec)) expect(spread[id][codec] / loss).toBeCloseTo(1, 12);
  });

  it("leaves what was measured as it is", () => {
    const probes = probedOf(spec, 3, errorsOf(spec));
    expect(spreadProbes(spec, probes, errors)).toMatchObject(probes);
    const all = probedOf(spec, 1, errorsOf(spec));
    expect(spreadProbes(spec, all, errors)).toEqual(all);
  });

  it("leaves probes out that say nothing, and takes the nearest at an end", () => {
    const probes: Losses = {
      "blocks.0.attn.q": { q3: 0 },
      "blocks.1.attn.q": { q3: 4 },
      "blocks.4.attn.q": { q3: 10 },
      "blocks.5.attn.q": { q3: 0 },
      "blocks.1.attn.k": { q3: -1 },
    };
    const spread = spreadProbes(spec, { ...probes, "blocks.5.attn.q": {} }, errors);
    // 4 / 2 and 10 / 5: the same ratio.
    expect(spread["blocks.2.attn.q"].q3).toBeCloseTo(6, 12);
    expect(spread["blocks.0.attn.q"].q3).toBe(0);
    expect(spread["blocks.2.attn.k"]).toBeUndefined();
    const { "blocks.0.attn.q": _, ...without } = probes;
    expect(spreadProbes(spec, without, errors)["blocks.0.attn.q"].q3).toBeCloseTo(2, 12);
  });
});
