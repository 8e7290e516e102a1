import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Plan } from "../../src/artifact/plan.ts";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import type { RopeSpec } from "../../src/model/decoder-spec.ts";
import { memorySum } from "../../src/model/memory.ts";
import { ALLOCATOR_IDS, ALLOCATORS } from "../../src/planning/allocators/index.ts";
import { feasibleRange, makePlan } from "../../src/planning/plan.ts";
import { createPlanner, type PlanRequest } from "../../src/planning/planner.ts";
import { assignmentOf } from "../../src/planning/prediction.ts";
import { sweepBudgets } from "../../src/planning/sweep.ts";
import { exampleSpec, importanceScores, lossScores, planSettings, smolSpec } from "./example-spec.ts";

const SPEC = exampleSpec({ ffn: [96, 160, 96, 224, 64] });
const IMPORTANCE = [0.3, 0.1, 0.5, 0.2, 0.4];

function request(overrides: Partial<PlanRequest> = {}): PlanRequest {
  const scores = importanceScores(IMPORTANCE);
  return { spec: SPEC, scores, recipe: planSettings(), contextTokens: 256, storedDtype: "BF16", ...overrides };
}

/** Bits of each block's up matrix. */
function upBits(plan: Plan): number[] {
  return plan.units.filter(({ id }) => id.endsWith("mlp.up")).map(({ codec }) => CODECS[codecIdOf(codec)].bits);
}

function codecAt(plan: Plan, id: string): string {
  const unit = plan.units.find((candidate) => candidate.id === id);
  if (!unit) throw new Error(`no unit ${id}`);
  return unit.codec;
}

const dynamicRope: RopeSpec = { dims: 4, theta: 10000, scaling: { kind: "dynamic", factor: 2 } };

describe("makePlan", () => {
  it("has the schema's form, the one memory sum, and each matrix's packed bytes", () => {
    const { smallestBytes, largestBytes } = feasibleRange(request());
    const budgetBytes = Math.floor((smallestBytes + largestBytes) / 2);
    const plan = makePlan({ ...request(), budgetBytes });
    expect(Plan.parse(JSON.parse(JSON.stringify(plan)))).toEqual(plan);
    expect(plan).toMatchObject({ allocator: "lsaq", scorer: "lsaq", budgetBytes, predictedLoss: null });
    const conditions = { contextTokens: 256, kvType: "f16", residency: "packed", runtimeBaseBytes: 0 } as const;
    expect(plan.memory).toEqual(memorySum(SPEC, assignmentOf(plan), { ...conditions, budgetCovers: "model" }));
    expect(plan.memory.totalBytes).toBeLessThanOrEqual(budgetBytes);
    const packed = plan.memory.items.filter(({ key }) => /\.(levels|scales)$/.test(key));
    const padding = plan.memory.items.find(({ key }) => key === "padding")?.bytes ?? 0;
    const units = plan.units.reduce((sum, { bytes }) => sum + bytes, 0);
    const parts = packed.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(units).toBeGreaterThanOrEqual(parts);
    expect(units).toBeLessThanOrEqual(parts + padding);
  });

  it("lowers the least important block first, and no more than the budget asks for", () => {
    const { largestBytes } = feasibleRange(request());
    const plan = makePlan({ ...request(), budgetBytes: largestBytes - 1 });
    expect(upBits(plan)).toEqual([16, 8, 16, 16, 16].map((b, i) => (i === 1 ? 8 : b)));
    expect(upBits(makePlan({ ...request(), budgetBytes: largestBytes }))).toEqual([16, 16, 16, 16, 16]);
    expect(makePlan({ ...request(), budgetBytes: null }).budgetBytes).toBeNull();
  });

  it("fits exactly: the smallest budget is feasible, one byte less is not", () => {
    const { smallestBytes } = feasibleRange(request());
    expect(makePlan({ ...request(), budgetBytes: smallestBytes }).memory.totalBytes).toBe(smallestBytes);
    expect(() => makePlan({ ...request(), budgetBytes: smallestBytes - 1 })).toThrow(
      expect.objectContaining({
        code: "BUDGET_TOO_SMALL",
        message: expect.stringContaining(`(${smallestBytes.toLocaleString("en-US")} bytes)`),
        hint: expect.stringMatching(
          new RegExp(`raise the budget to ${smallestBytes} B, or keep .* lower the context to 2\\d\\d tokens`),
        ),
      }),
    );
  });

  it("can be checked before there are scores", () => {
    const { smallestBytes } = feasibleRange(request());
    const planner = createPlanner(request({ scores: null }));
    expect(() => planner.checkBudget(smallestBytes)).not.toThrow();
    expect(() => planner.checkBudget(smallestBytes - 1)).toThrow(expect.objectContaining({ code: "BUDGET_TOO_SMALL" }));
  });

  it("names the longest context that would fit", () => {
    const asked = request({ contextTokens: 4096 });
    const budgetBytes = feasibleRange(request({ contextTokens: 1000 })).smallestBytes;
    const hint = /context to (\d+) tokens/;
    let found = 0;
    try {
      makePlan({ ...asked, budgetBytes });
    } catch (error) {
      found = Number(hint.exec(String(error instanceof Error && "hint" in error ? error.hint : ""))?.[1]);
    }
    const fits = (contextTokens: number) => feasibleRange(request({ contextTokens })).smallestBytes <= budgetBytes;
    expect(found).toBeGreaterThanOrEqual(1000);
    expect([fits(found), fits(found + 1)]).toEqual([true, false]);
  });

  it("says so when no context fits", () => {
    expect(() => makePlan({ ...request(), budgetBytes: 1000 })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("no context fits 1,000 bytes") }),
    );
  });

  it("counts the runtime's base where the budget covers the process", () => {
    const base = { runtimeBaseBytes: 1_000_000 };
    const model = feasibleRange(request(base)).smallestBytes;
    expect(feasibleRange(request({ ...base, budgetCovers: "process" })).smallestBytes).toBe(model + 1_000_000);
  });

  it("refuses a budget of the process that opening alone exceeds; one of the model is another matter", () => {
    const opening = { openingBytes: 2 ** 33 };
    const budgetBytes = 2 ** 32;
    expect(() => makePlan({ ...request({ ...opening, budgetCovers: "process" }), budgetBytes })).toThrow(
      expect.objectContaining({
        code: "BUDGET_TOO_SMALL",
        hint: expect.stringContaining("raise the budget to 8589934592 B"),
      }),
    );
    expect(() => makePlan({ ...request(opening), budgetBytes })).not.toThrow();
    expect(feasibleRange(request({ ...opening, budgetCovers: "process" })).smallestBytes).toBe(2 ** 33);
  });

  it("ranks by the loss at the narrowest codec where scores predict", () => {
    const losses = Object.fromEntries(
      IMPORTANCE.map((loss, i) => [`blocks.${i}`, { "q4s-g32": loss, "q8s-g32": 1 - loss }]),
    );
    const scored = request({ scores: lossScores(losses) });
    const { largestBytes } = feasibleRange(scored);
    expect(upBits(makePlan({ ...scored, budgetBytes: largestBytes - 1 }))).toEqual([16, 8, 16, 16, 16]);
  });

  it("ranks by the sum over a block's matrices where these were scored one by one", () => {
    const roles = ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down"];
    const losses = Object.fromEntries(
      IMPORTANCE.flatMap((loss, i) => roles.map((role, r) => [`blocks.${i}.${role}`, { "q4s-g32": loss * (r + 1) }])),
    );
    const scored = request({ scores: lossScores(losses) });
    const { largestBytes } = feasibleRange(scored);
    expect(upBits(makePlan({ ...scored, budgetBytes: largestBytes - 1 }))).toEqual([16, 8, 16, 16, 16]);
  });

  it("refuses scores that are missing, another model's, or without the codec, and a context beyond the model", () => {
    const plan = (overrides: Partial<PlanRequest>) => () => makePlan({ ...request(overrides), budgetBytes: null });
    expect(plan({ scores: null })).toThrow(expect.objectContaining({ code: "SCORES_MISSING" }));
    expect(plan({ scores: importanceScores([1, 2]) })).toThrow(/expected 5 blocks, found 2/);
    expect(plan({ scores: lossScores({ "blocks.0": { "q8s-g32": 1 } }) })).toThrow(/loss of blocks.0 at q4s-g32/);
    expect(plan({ contextTokens: 9000 })).toThrow(expect.objectContaining({ code: "CONTEXT_TOO_LONG" }));
    const blocks = request().spec.blocks.map((block) => {
      const attention = block.attention && { ...block.attention, rope: dynamicRope };
      return { ...block, attention };
    });
    expect(plan({ contextTokens: 9000, spec: { ...request().spec, blocks } })).toThrow(
      expect.objectContaining({ hint: expect.stringContaining("dynamic rotary scaling beyond them is not supported") }),
    );
    expect(plan({ scores: null, recipe: planSettings({ allocator: "uniform" }) })()).toMatchObject({ scorer: null });
  });
});

describe("rules in plans", () => {
  const recipe = planSettings({
    rules: { "mlp.down": ">= 6 bits", "blocks.2.*": "exclude", "blocks.0.attn.q": "= 6 bits" },
  });

  it("raise, exclude and pin whatever the blocks get, and are noted", () => {
    const asked = request({ recipe });
    const plan = makePlan({ ...asked, budgetBytes: feasibleRange(asked).smallestBytes });
    expect(codecAt(plan, "blocks.1.mlp.down")).toBe("q8s-g32");
    expect(codecAt(plan, "blocks.1.mlp.up")).toBe("q4s-g32");
    expect(codecAt(plan, "blocks.2.mlp.down")).toBe("bf16");
    expect(codecAt(plan, "blocks.0.attn.q")).toBe("q6s-g32");
    const rules = new Map(plan.units.map(({ id, rule }) => [id, rule]));
    expect(rules.get("blocks.1.mlp.down")).toBe("mlp.down: >= 6 bits");
    expect(rules.get("blocks.2.mlp.down")).toBe("blocks.2.*: exclude");
    expect(rules.get("blocks.1.mlp.up")).toBeNull();
  });
});

describe("predictions", () => {
  const losses = Object.fromEntries(
    SPEC.blocks.map((_, i) => [`blocks.${i}`, { "q4s-g32": 0.1 * (i + 1), "q8s-g32": 0.01 }]),
  );

  it("sum the losses of the blocks at their codecs; floats cost nothing", () => {
    const asked = request({ scores: lossScores(losses) });
    const { smallestBytes, largestBytes } = feasibleRange(asked);
    expect(makePlan({ ...asked, budgetBytes: smallestBytes }).predictedLoss).toBeCloseTo(1.5, 12);
    expect(makePlan({ ...asked, budgetBytes: largestBytes }).predictedLoss).toBe(0);
    const withEmbedding = lossScores({ ...losses, embedding: { "q8s-g32": 0.5 } });
    const plan = makePlan({ ...request({ scores: withEmbedding }), budgetBytes: largestBytes });
    expect(plan).toMatchObject({ predictedLoss: 0.5, importanceLowered: null });
  });

  it("weigh the codecs of a mixed block by its weights, and are null where a codec was not measured", () => {
    const spec = exampleSpec({ ffn: [128] });
    const scores = lossScores({ "blocks.0": { "q4s-g32": 1, "q8s-g32": 0.1 } });
    const mixed = planSettings({ allocator: "uniform", codecs: [4], rules: { "mlp.down": "= 8 bits" } });
    const down = 64 * 128;
    const all = 2 * 64 * 64 + 2 * 32 * 64 + 3 * down;
    const plan = makePlan({ ...request({ spec, scores, recipe: mixed }), budgetBytes: null });
    expect(plan.predictedLoss).toBeCloseTo((0.1 * down + (all - down)) / all, 12);
    const unmeasured = planSettings({ allocator: "uniform", codecs: [4], rules: { "mlp.down": "= 6 bits" } });
    const other = makePlan({ ...request({ spec, scores, recipe: unmeasured }), budgetBytes: null });
    expect(other.predictedLoss).toBeNull();
  });

  it("count importance x bits lowered for rankings", () => {
    const { smallestBytes, largestBytes } = feasibleRange(request());
    expect(makePlan({ ...request(), budgetBytes: largestBytes }).importanceLowered).toBe(0);
    expect(makePlan({ ...request(), budgetBytes: smallestBytes }).importanceLowered).toBeCloseTo(1.5 * 12, 10);
  });
});

const BY_BLOCK = ALLOCATOR_IDS.filter((id) => ALLOCATORS[id].grain.name === "block");

describe.each(BY_BLOCK)("%s over the exact memory sum", (allocator) => {
  const planner = createPlanner(request({ recipe: planSettings({ allocator, rules: { "attn.v": ">= 6 bits" } }) }));
  const { smallestBytes, largestBytes } = planner.range();

  it("is never over the budget and never lowers a block for more memory", () => {
    const budgets = fc.integer({ min: smallestBytes, max: largestBytes + 10_000 });
    fc.assert(
      fc.property(budgets, budgets, (a, b) => {
        const less = planner.plan(Math.min(a, b));
        const more = planner.plan(Math.max(a, b));
        expect(less.memory.totalBytes).toBeLessThanOrEqual(Math.min(a, b));
        const bits = upBits(less);
        upBits(more).forEach((wider, i) => {
          expect(wider).toBeGreaterThanOrEqual(bits[i]);
        });
      }),
    );
  });
});

describe("sweepBudgets", () => {
  it("spans the feasible range at even distances", () => {
    const { range, points } = sweepBudgets(request());
    expect(points).toHaveLength(10);
    expect(points[0]).toMatchObject({ budgetBytes: range.smallestBytes, totalBytes: range.smallestBytes });
    expect(points[9]).toMatchObject({ budgetBytes: range.largestBytes, totalBytes: range.largestBytes });
    points.forEach((point, i) => {
      expect(point.totalBytes).toBeLessThanOrEqual(point.budgetBytes);
      if (i === 0) return;
      expect(point.budgetBytes).toBeGreaterThan(points[i - 1].budgetBytes);
      expect(point.bitsPerWeight).toBeGreaterThanOrEqual(points[i - 1].bitsPerWeight);
      expect(point.importanceLowered).toBeLessThanOrEqual(points[i - 1].importanceLowered ?? 0);
    });
    expect(sweepBudgets(request(), { count: 3 }).points).toHaveLength(3);
  });

  it("plans every matrix of SmolLM2-135M's shapes at ten budgets", () => {
    const spec = smolSpec();
    const scores = importanceScores(spec.blocks.map((_, i) => Math.abs(Math.sin(i))));
    const { points } = sweepBudgets(request({ spec, scores, contextTokens: 2048 }));
    expect(points.map((point) => point.plan.units.length)).toEqual(Array.from({ length: 10 }, () => 211));
  });
});

describe("the planning entry", () => {
  it("reaches no node: module from plan, sweep, budget and allocators", () => {
    const seen = new Set<string>();
    const visit = (file: string) => {
      if (seen.has(file)) return;
      seen.add(file);
      const text = readFileSync(file, "utf8");
      expect(text, file).not.toMatch(/from "node:/);
      const imports = text.matchAll(/^(?:import|export)(?! type)[^;]*? from "(\.[^"]+)"/gm);
      for (const [, target] of imports) visit(path.resolve(path.dirname(file), target));
    };
    for (const entry of ["plan", "sweep", "plan-settings", "budget/budget", "budget/device-profile"])
      visit(path.resolve(`src/planning/${entry}.ts`));
    expect(seen.size).toBeGreaterThan(15);
  });
});
