import { describe, expect, it } from "vitest";
import { measuredBefore } from "../../src/pipeline/kept-losses.ts";
import type { Scores } from "../../src/scoring/scores.ts";

const INPUTS = {
  steps: { weights: "w", calibration: "c" },
  executor: "native",
  scorer: "kl",
  options: { unit: "matrix", tokens: 64 },
  measured: { codecs: ["q4s-g32"], embeddingCodecs: ["q8s-g32"], quantizer: "gptq" },
};
const SCORES: Scores = {
  ...{ formatVersion: 1, scorer: "kl", options: {}, checkpointId: "w", calibrationId: "c", tokens: 64 },
  importance: null,
  losses: { "blocks.0": { "q4s-g32": 0.5 }, head: { "q8s-g32": 0.1, "q4s-g32": 0.2 } },
};

const saved = (inputs: unknown, value = SCORES) => measuredBefore({ inputs, value }, INPUTS);

describe("losses that were measured before", () => {
  it("serve again for other codecs and probes", () => {
    const wider = { ...INPUTS, measured: { ...INPUTS.measured, codecs: ["q4s-g32", "q5s-g32"] } };
    expect(saved(wider)).toEqual(SCORES.losses);
    expect(saved({ ...INPUTS, options: { ...INPUTS.options, probes: ["q3s-g32"] } })).toEqual(SCORES.losses);
  });

  it("serve not where they were measured otherwise", () => {
    const others = [
      { ...INPUTS, steps: { ...INPUTS.steps, weights: "another checkpoint" } },
      { ...INPUTS, steps: { ...INPUTS.steps, calibration: "another text" } },
      { ...INPUTS, executor: "tfjs" },
      { ...INPUTS, scorer: "output-mse" },
      { ...INPUTS, options: { unit: "matrix", tokens: 65 } },
      { ...INPUTS, measured: { ...INPUTS.measured, quantizer: "nearest" } },
      { ...INPUTS, measured: { ...INPUTS.measured, rules: { "attn.v": ">= 4 bits" } } },
      { ...INPUTS, measured: null },
      null,
    ];
    for (const other of others) expect(saved(other), JSON.stringify(other)).toEqual({});
  });

  it("are of scores by matrix the measured ones, not the predicted", () => {
    const details = { head: { "q8s-g32": { predicted: 0.1 }, "q4s-g32": { measured: 0.21, predicted: 0.2 } } };
    expect(saved(INPUTS, { ...SCORES, details })).toEqual({
      "blocks.0": { "q4s-g32": 0.5 },
      head: { "q4s-g32": 0.21 },
    });
  });
});
