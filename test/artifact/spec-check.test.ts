import path from "node:path";
import { describe, expect, it } from "vitest";
import { checkSpec } from "../../src/artifact/spec-check.ts";
import { UserError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import type { DecoderSpec, RopeSpec } from "../../src/model/decoder-spec.ts";
import { ARCHITECTURES, architectureNames } from "../support/fixtures.ts";
import { tinySpec } from "./tiny-source.ts";

describe.each(architectureNames())("the spec of %s", (name) => {
  it("agrees with itself", async () => {
    const checkpoint = await openCheckpoint(path.join(ARCHITECTURES, name));
    expect(() => checkSpec(checkpoint.spec, name)).not.toThrow();
    await checkpoint.close();
  });
});

describe("checkSpec", () => {
  const spec = tinySpec(true);
  const [block] = spec.blocks;
  if (!block.attention || !block.mlp) throw new Error("block 0 is whole");
  const { attention, mlp } = block;
  const rope = { dims: 12, theta: 10000 };
  const longrope: RopeSpec["scaling"] = {
    kind: "longrope",
    shortFactor: [1],
    longFactor: [1],
    originalMaxPositions: 9,
    attentionFactor: 1,
  };

  const wrongSpecs: readonly (readonly [string, DecoderSpec])[] = [
    ["final norm", { ...spec, finalNorm: { ...spec.finalNorm, size: 47 } }],
    ["norm", { ...spec, blocks: [{ ...block, mlpNorms: { pre: { kind: "rms", size: 2, eps: 1 }, post: null } }] }],
    ["KV heads", { ...spec, blocks: [{ ...block, attention: { ...attention, kvHeads: 3 } }] }],
    ["keys", { ...spec, blocks: [{ ...block, attention: { ...attention, k: { ...attention.k, rows: 25 } } }] }],
    ["outputs", { ...spec, blocks: [{ ...block, attention: { ...attention, o: { ...attention.o, cols: 50 } } }] }],
    [
      "rotary size",
      {
        ...spec,
        blocks: [{ ...block, attention: { ...attention, rope: { ...rope, dims: 14, scaling: { kind: "none" } } } }],
      },
    ],
    ["factors", { ...spec, blocks: [{ ...block, attention: { ...attention, rope: { ...rope, scaling: longrope } } }] }],
    ["gate", { ...spec, blocks: [{ ...block, mlp: { ...mlp, gate: { ...mlp.up, rows: 70 } } }] }],
    ["BOS", { ...spec, bosToken: 83 }],
  ];

  it.each(wrongSpecs)("refuses what does not fit: %s", (_, wrong) => {
    expect(() => checkSpec(spec, "file")).not.toThrow();
    expect(() => checkSpec(wrong, "file")).toThrow(UserError);
    expect(() => checkSpec(wrong, "file")).toThrow(/^file: spec.*expected .*found/);
  });
});
