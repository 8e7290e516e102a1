import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { describeModel } from "../../src/model/architectures/index.ts";
import type { RopeSpec } from "../../src/model/decoder-spec.ts";
import { ropeInverseFrequencies, ropeRegime, ropeTable } from "../../src/model/rope.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";

const plain: RopeSpec = { dims: 8, theta: 10000, scaling: { kind: "none" } };
const llama3: RopeSpec = {
  dims: 16,
  theta: 5000,
  scaling: { kind: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 },
};
const longrope: RopeSpec = {
  dims: 4,
  theta: 100,
  scaling: {
    kind: "longrope",
    shortFactor: [1, 2],
    longFactor: [4, 5],
    originalMaxPositions: 16,
    attentionFactor: 1.25,
  },
};

describe("ropeInverseFrequencies", () => {
  it("is theta^(-2i/dims) without scaling", () => {
    const { inverseFrequencies, factor } = ropeInverseFrequencies(plain, "short");
    expect(factor).toBe(1);
    [1, 0.1, 0.01, 0.001].forEach((f, i) => {
      expect(inverseFrequencies[i]).toBeCloseTo(f, 14);
    });
  });

  it("divides every frequency by the linear factor", () => {
    const { inverseFrequencies } = ropeInverseFrequencies(
      { ...plain, scaling: { kind: "linear", factor: 4 } },
      "short",
    );
    expect(inverseFrequencies[0]).toBe(0.25);
    expect(inverseFrequencies[3]).toBeCloseTo(0.00025, 14);
  });

  it("keeps short waves, stretches long ones and blends between (llama3)", () => {
    const { inverseFrequencies } = ropeInverseFrequencies(llama3, "short");
    // Wavelengths 2π·5000^(i/8): 6.3, 18.2, 52.8, 153, …; short below 64/4 = 16, long above 64/1 = 64.
    expect(inverseFrequencies[0]).toBe(1);
    for (const i of [1, 2]) {
      const f = 5000 ** (-i / 8);
      const wavelength = (2 * Math.PI) / f;
      const smooth = (64 / wavelength - 1) / (4 - 1);
      expect(inverseFrequencies[i]).toBeCloseTo((1 - smooth) * (f / 8) + smooth * f, 14);
      expect(inverseFrequencies[i]).toBeLessThan(f);
    }
    for (const i of [3, 4, 5, 6, 7]) expect(inverseFrequencies[i]).toBeCloseTo(5000 ** (-i / 8) / 8, 14);
  });

  it("divides by the regime's factors and passes the attention factor on (longrope)", () => {
    const short = ropeInverseFrequencies(longrope, "short");
    const long = ropeInverseFrequencies(longrope, "long");
    expect([...short.inverseFrequencies].map((f) => f.toFixed(12))).toEqual(["1.000000000000", "0.050000000000"]);
    expect([...long.inverseFrequencies].map((f) => f.toFixed(12))).toEqual(["0.250000000000", "0.020000000000"]);
    expect([short.factor, long.factor]).toEqual([1.25, 1.25]);
  });
});

describe("YaRN and dynamic scaling have the frequencies and the attention factor of transformers", () => {
  const Reference = z.object({
    model: z.object({ inverse_frequencies: z.array(z.number()), attention_factor: z.number() }),
  });
  const read = (name: string, file: string): unknown =>
    JSON.parse(readFileSync(path.join(ARCHITECTURES, name, file), "utf8"));

  it.each(["qwen2-yarn", "llama-yarn-mscale", "llama-dynamic"])("%s", (name) => {
    const { model } = Reference.parse(read(name, "golden.json"));
    for (const file of ["config.json", "config.v5.json"]) {
      const rope = describeModel(read(name, file), name).spec.blocks[0].attention?.rope;
      if (!rope) throw new Error("no rotary embedding");
      const { inverseFrequencies, factor } = ropeInverseFrequencies(rope, "short");
      expect(factor).toBeCloseTo(model.attention_factor, 12);
      expect(inverseFrequencies).toHaveLength(model.inverse_frequencies.length);
      // transformers computes them in f32.
      model.inverse_frequencies.forEach((f, i) => {
        expect(Math.abs(inverseFrequencies[i] / f - 1)).toBeLessThan(2e-6);
      });
    }
  });

  const yarn: RopeSpec["scaling"] = {
    ...{ kind: "yarn", factor: 4, betaFast: 32, betaSlow: 1, truncate: true },
    ...{ originalMaxPositions: 64, attentionFactor: 1 },
  };

  it("keeps short waves, divides long ones by the factor, and is never outside of the two", () => {
    const rope: RopeSpec = { dims: 16, theta: 5000, scaling: yarn };
    const { inverseFrequencies } = ropeInverseFrequencies(rope, "short");
    expect(inverseFrequencies[0]).toBe(1);
    expect(inverseFrequencies[7]).toBeCloseTo(5000 ** (-7 / 8) / 4, 14);
    inverseFrequencies.forEach((f, i) => {
      const kept = 5000 ** (-i / 8);
      expect(f).toBeGreaterThanOrEqual((kept / 4) * (1 - 1e-12));
      expect(f).toBeLessThanOrEqual(kept * (1 + 1e-12));
    });
  });

  it("is finite where the two ends of the ramp meet, or the original length is short", () => {
    for (const change of [
      { betaFast: 3, betaSlow: 3 },
      { originalMaxPositions: 1 },
      { truncate: false, betaFast: 1 },
    ]) {
      const rope: RopeSpec = { dims: 16, theta: 5000, scaling: { ...yarn, ...change } };
      expect(ropeInverseFrequencies(rope, "short").inverseFrequencies.every((f) => f > 0 && f <= 1)).toBe(true);
    }
  });
});

describe("ropeRegime", () => {
  it("is long only past originalMaxPositions", () => {
    expect(ropeRegime(longrope, 16)).toBe("short");
    expect(ropeRegime(longrope, 17)).toBe("long");
    expect(ropeRegime(plain, 1_000_000)).toBe("short");
  });
});

describe("ropeTable", () => {
  it("holds factor·cos and factor·sin of position × frequency, a row a position", () => {
    const { cos, sin } = ropeTable(longrope, [0, 3], "long");
    expect(cos.length).toBe(4);
    expect([cos[0], cos[1], sin[0], sin[1]]).toEqual([1.25, 1.25, 0, 0]);
    expect(cos[2]).toBe(Math.fround(1.25 * Math.cos(0.75)));
    expect(sin[3]).toBe(Math.fround(1.25 * Math.sin(3 * 0.02)));
  });

  it("gives a position the same row whatever stands beside it", () => {
    const position = fc.integer({ min: 0, max: 100_000 });
    fc.assert(
      fc.property(fc.array(position, { minLength: 1, maxLength: 8 }), (positions) => {
        const { cos, sin } = ropeTable(llama3, Int32Array.from(positions), "short");
        positions.forEach((p, row) => {
          const alone = ropeTable(llama3, [p], "short");
          expect([...cos.subarray(row * 8, row * 8 + 8)]).toEqual([...alone.cos]);
          expect([...sin.subarray(row * 8, row * 8 + 8)]).toEqual([...alone.sin]);
          for (let i = 0; i < 8; i++) expect(alone.cos[i] ** 2 + alone.sin[i] ** 2).toBeCloseTo(1, 5);
        });
      }),
    );
  });
});
