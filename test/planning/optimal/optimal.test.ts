import { beforeAll, describe, expect, it } from "vitest";
import type { Plan } from "../../../src/artifact/plan.ts";
import { CODECS, type CodecId, codecIdOf } from "../../../src/codecs/index.ts";
import { headMatrixId, matricesOf } from "../../../src/model/decoder-spec.ts";
import { exitFileLayout, gatheredRowBytes } from "../../../src/model/exit-bytes.ts";
import { memorySum } from "../../../src/model/memory.ts";
import { segmentShapes } from "../../../src/model/packed-layout.ts";
import { ALLOCATORS } from "../../../src/planning/allocators/index.ts";
import { loadHighs, loadSolverFor } from "../../../src/planning/optimal/highs-solver.ts";
import type { MilpSolver } from "../../../src/planning/optimal/milp.ts";
import { createPlanner, type PlanRequest } from "../../../src/planning/planner.ts";
import { assignmentOf } from "../../../src/planning/prediction.ts";
import { sweepBudgets } from "../../../src/planning/sweep.ts";
import { uniformPlans } from "../../../src/planning/uniform-plans.ts";
import type { Losses } from "../../../src/scoring/scores.ts";
import { Random } from "../../../src/tensor/random.ts";
import { exampleSpec, importanceScores, lossScores, planSettings, smolSpec } from "../example-spec.ts";
import { leastLoss } from "./knapsack-twin.ts";

let highs: MilpSolver;
beforeAll(async () => {
  highs = await loadHighs();
});

const CODEC_LIST: CodecId[] = ["q8s-g32", "q6a-g64", "q5s-g32", "q4s-g32", "q4s-g128", "q3s-g32", "q3a-g64", "q2s-g32"];
const SPEC = exampleSpec({ ffn: [96, 160, 96] });
const OPTIMAL = { allocator: "optimal", codecs: CODEC_LIST, embeddingCodecs: ["q8s-g32", "q6s-g32", "q4s-g32"] };

/** Losses that fall with the bits, each matrix by a factor of its own. */
function randomLosses(spec = SPEC, seed = 1, codecs: readonly CodecId[] = [...CODEC_LIST, "q6s-g32"]): Losses {
  const random = new Random(seed);
  const unit = ({ rows, cols }: { rows: number; cols: number }) => {
    const alpha = rows * cols * Math.exp(2 * random.nextNormal());
    return Object.fromEntries(
      codecs.map((codec) => [codec, 1e-6 * alpha * 4 ** -CODECS[codec].bits * (1 + 0.3 * random.next())]),
    );
  };
  return Object.fromEntries(matricesOf(spec).map((matrix) => [matrix.id, unit(matrix)]));
}

function request(overrides: Partial<PlanRequest> = {}, settings: Record<string, unknown> = {}): PlanRequest {
  const scores = lossScores(randomLosses());
  const recipe = planSettings({ ...OPTIMAL, ...settings });
  return { spec: SPEC, scores, recipe, contextTokens: 64, storedDtype: "BF16", ...overrides };
}

const codecAt = (plan: Plan, id: string) => plan.units.find((unit) => unit.id === id)?.codec;

/** The least loss within a budget, from the segments' shapes and a dynamic program. */
function twinLoss(asked: PlanRequest, budgetBytes: number, plan: Plan): number | null {
  const planner = createPlanner(asked, highs);
  const losses = asked.scores?.losses ?? {};
  const segments = segmentShapes(asked.spec).map(({ matrices, vectorBytes, align }) => ({
    fixedBytes: vectorBytes,
    align,
    items: matrices.map(({ id, rows, cols }) => {
      const candidates = planner.matrices.find((matrix) => matrix.id === id)?.candidates ?? [];
      return candidates.map((codec) => ({ bytes: CODECS[codec].packedBytes(rows, cols), loss: losses[id][codec] }));
    }),
  }));
  const packed = (key: string) => plan.memory.items.find((item) => item.key === key)?.bytes ?? 0;
  const outside = packed("header") + packed("kv") + packed("workspace");
  // The twin counts whole steps of 64 bytes, so that its tables stay small.
  const steps = segments.map((segment) => ({
    ...segment,
    fixedBytes: segment.fixedBytes / 64,
    align: Math.max(1, segment.align / 64),
    items: segment.items.map((item) => item.map(({ bytes, loss }) => ({ bytes: bytes / 64, loss }))),
  }));
  return leastLossOfBlocks(steps, Math.floor((budgetBytes - outside) / 64));
}

/** As `leastLoss`, with each segment's choices thinned to the best of a size first: seven matrices have two million. */
function leastLossOfBlocks(segments: Parameters<typeof leastLoss>[0], capacity: number): number | null {
  const thinned = segments.map(({ items, fixedBytes, align }) => {
    let sums = new Map<number, number>([[fixedBytes, 0]]);
    for (const item of items) {
      const next = new Map<number, number>();
      for (const [bytes, loss] of sums) {
        for (const option of item) {
          const size = bytes + option.bytes;
          next.set(size, Math.min(next.get(size) ?? Number.POSITIVE_INFINITY, loss + option.loss));
        }
      }
      sums = next;
    }
    return { items: [[...sums].map(([bytes, loss]) => ({ bytes, loss }))], fixedBytes: 0, align };
  });
  return leastLoss(thinned, capacity);
}

describe("optimal", () => {
  it("is the best plan under the exact memory sum, at every budget, and monotone", () => {
    const asked = request();
    const planner = createPlanner(asked, highs);
    const { smallestBytes, largestBytes } = planner.range();
    expect(planner.plan(smallestBytes).memory.totalBytes).toBe(smallestBytes);
    expect(() => planner.plan(smallestBytes - 1)).toThrow(expect.objectContaining({ code: "BUDGET_TOO_SMALL" }));
    let last = Number.POSITIVE_INFINITY;
    for (let i = 0; i <= 8; i++) {
      const budget = smallestBytes + Math.floor(((largestBytes - smallestBytes) * i) / 8);
      const plan = planner.plan(budget);
      expect(plan.memory.totalBytes).toBeLessThanOrEqual(budget);
      const conditions = { contextTokens: 64, kvType: "f16", residency: "packed", runtimeBaseBytes: 0 } as const;
      expect(plan.memory).toEqual(memorySum(SPEC, assignmentOf(plan), { ...conditions, budgetCovers: "model" }));
      expect(plan.predictedLoss).toBeCloseTo(twinLoss(asked, budget, plan) ?? 0, 12);
      expect(plan.predictedLoss).toBeLessThanOrEqual(last);
      expect(planner.plan(budget)).toEqual(plan);
      last = plan.predictedLoss ?? 0;
    }
    expect(planner.plan(null).memory.totalBytes).toBe(largestBytes);
  });

  it("counts an output head of its own, which lies in the file's last, unpadded segment", () => {
    const spec = exampleSpec({ ffn: [96, 64], tied: false });
    const asked = request({ spec, scores: lossScores(randomLosses(spec, 4)) });
    const planner = createPlanner(asked, highs);
    const { smallestBytes, largestBytes } = planner.range();
    for (const share of [0.2, 0.5, 0.77]) {
      const budget = Math.floor(smallestBytes + (largestBytes - smallestBytes) * share);
      const plan = planner.plan(budget);
      expect(plan.memory.totalBytes).toBeLessThanOrEqual(budget);
      expect(plan.predictedLoss).toBeCloseTo(twinLoss(asked, budget, plan) ?? 0, 12);
    }
  });

  it("keeps rules, and gives tied matrices one codec", () => {
    const rules = { "mlp.down": ">= 5 bits", "blocks.1.*": "= 4 bits" };
    const planner = createPlanner(request({}, { rules, ties: ["attn.{q,k,v}", "mlp.{gate,up}"] }), highs);
    const { smallestBytes, largestBytes } = planner.range();
    const plan = planner.plan(Math.floor((smallestBytes + largestBytes) / 2));
    for (const block of [0, 2]) {
      const at = (role: string) => codecAt(plan, `blocks.${block}.${role}`);
      expect(new Set([at("attn.q"), at("attn.k"), at("attn.v")]).size).toBe(1);
      expect(at("mlp.gate")).toBe(at("mlp.up"));
      expect(CODECS[codecIdOf(at("mlp.down") ?? "")].bits).toBeGreaterThanOrEqual(5);
    }
    expect(codecAt(plan, "blocks.1.mlp.down")).toBe("q4s-g32");
    const untied = createPlanner(request({}, { rules }), highs).plan(plan.memory.totalBytes);
    expect(untied.predictedLoss).toBeLessThan(plan.predictedLoss ?? 0);
  });

  it("refuses ties that match nothing or have no codec in common", () => {
    expect(() => createPlanner(request({}, { ties: ["attn.x"] }))).toThrow(
      expect.objectContaining({ code: "TIE_MATCHES_NOTHING" }),
    );
    const rules = { "attn.q": "= 8 bits", "attn.k": "= 4 bits" };
    expect(() => createPlanner(request({}, { rules, ties: ["attn.{q,k}"] }))).toThrow(
      expect.objectContaining({ code: "TIE_RULES" }),
    );
  });

  it("takes the KV type with the lower sum of losses", () => {
    const losses = randomLosses();
    const kvChoices = ["f16", "q8"] as const;
    const at = (q8: number, share: number) => {
      const scores = lossScores({ ...losses, kv: { q8 } });
      const planner = createPlanner(request({ scores, kvChoices, contextTokens: 1024 }), highs);
      const { smallestBytes, largestBytes } = planner.range();
      return planner.plan(Math.floor(smallestBytes + (largestBytes - smallestBytes) * share));
    };
    expect(at(1e-9, 0.3).memory.kvType).toBe("q8");
    expect(at(1e3, 0.9).memory.kvType).toBe("f16");
    const small = at(1e-9, 0.3);
    expect(small.predictedLoss).toBeCloseTo(1e-9 + sumOf(losses, small), 12);
    expect(() => createPlanner(request({ kvChoices }), highs)).toThrow(/expected a loss of the KV type q8/);
  });

  it("takes the bytes of exits from the matrices, those of gathered rows at the output head's own codec", () => {
    const exits = { exits: [{ kind: "adapter" as const, rank: 4 }], vocabulary: { ids: 48 } };
    const { smallestBytes } = createPlanner(request(), highs).range();
    const planner = createPlanner(request({ exits }), highs);
    const inFile = exitFileLayout(SPEC, exits).totalBytes;
    expect(planner.range().smallestBytes).toBe(smallestBytes + inFile + gatheredRowBytes(SPEC, exits, "q4s-g32"));
    const { largestBytes } = planner.range();
    for (const share of [0, 0.1, 0.4, 0.8, 1]) {
      const budget = Math.floor(smallestBytes + 20_000 + (largestBytes - smallestBytes - 20_000) * share);
      const plan = planner.plan(budget);
      expect(plan.memory.totalBytes).toBeLessThanOrEqual(budget);
      const head = codecIdOf(codecAt(plan, headMatrixId(SPEC)) ?? "");
      const conditions = { contextTokens: 64, kvType: "f16", residency: "packed", runtimeBaseBytes: 0 } as const;
      expect(plan.memory).toEqual(memorySum(SPEC, assignmentOf(plan), { ...conditions, budgetCovers: "model", exits }));
      const gathered = plan.memory.items.find(({ key }) => key === "exits.vocabulary")?.bytes;
      expect(gathered).toBe(gatheredRowBytes(SPEC, exits, head));
    }
  });

  it("keeps a bound on the time of a token, and says when no plan does", () => {
    const latency = { gigabytesPerSecond: 10, gigabytesPerSecondAt: { "3": 4, "2": 4 }, msPerMatrix: 0.001 };
    const msOf = (plan: Plan) =>
      plan.units.reduce(
        (sum, { codec, bytes }) => sum + bytes / ([2, 3].includes(CODECS[codecIdOf(codec)].bits) ? 4e6 : 10e6) + 0.001,
        0,
      );
    const free = createPlanner(request(), highs);
    const budget = Math.floor((free.range().smallestBytes + free.range().largestBytes) / 2);
    const unbound = free.plan(budget);
    const msPerToken = 0.97 * msOf(unbound);
    const bound = createPlanner(request({}, { latency: { ...latency, msPerToken } }), highs).plan(budget);
    expect(msOf(bound)).toBeLessThanOrEqual(msPerToken);
    expect(bound.predictedLoss).toBeGreaterThan(unbound.predictedLoss ?? 0);
    const slow = createPlanner(request({}, { latency: { ...latency, msPerToken: 1e-3 } }), highs);
    expect(() => slow.plan(budget)).toThrow(expect.objectContaining({ code: "LATENCY_TOO_SMALL" }));
  });

  it("takes losses of whole blocks by the matrices' shares", () => {
    const losses = Object.fromEntries(
      SPEC.blocks.map((_, i) => [
        `blocks.${i}`,
        Object.fromEntries(CODEC_LIST.map((codec) => [codec, (i + 1) * 4 ** -CODECS[codec].bits])),
      ]),
    );
    const settings = { embeddingCodecs: [], codecs: ["q8s-g32", "q4s-g32", "q2s-g32"] };
    const planner = createPlanner(request({ scores: lossScores(losses) }, settings), highs);
    const plan = planner.plan(null);
    expect(plan.predictedLoss).toBeCloseTo(6 * 4 ** -8, 12);
  });

  it("refuses scores that are missing, rank only, or lack a codec", () => {
    const planned = (overrides: Partial<PlanRequest>) => () => createPlanner(request(overrides), highs).plan(null);
    expect(planned({ scores: null })).toThrow(expect.objectContaining({ code: "SCORES_MISSING" }));
    expect(planned({ scores: importanceScores([1, 2, 3]) })).toThrow(/expected losses, found a ranking/);
    const { "blocks.1.attn.k": _, ...rest } = randomLosses();
    expect(planned({ scores: lossScores(rest) })).toThrow(/loss of blocks.1.attn.k at q8s-g32/);
    const { embedding: __, ...blocks } = randomLosses();
    expect(planned({ scores: lossScores(blocks) })).toThrow(/loss of embedding/);
  });

  it("loads its solver only where it is needed", async () => {
    expect(await loadSolverFor(ALLOCATORS.lsaq)).toBeUndefined();
    expect(await loadSolverFor(ALLOCATORS.optimal)).toBeTypeOf("function");
  });
});

/** Losses of a plan's matrices. */
function sumOf(losses: Losses, plan: Plan): number {
  return plan.units.reduce((sum, { id, codec }) => sum + losses[id][codec], 0);
}

describe("on the shapes of SmolLM2-135M", () => {
  const spec = smolSpec();
  const scores = lossScores(randomLosses(spec, 7));
  const asked = request({ spec, scores, contextTokens: 2048 });

  it("sweeps ten budgets, each better than the last and than every uniform plan of its bytes", () => {
    const planner = createPlanner(asked, highs);
    const { points } = sweepBudgets(asked, { count: 10, solver: highs });
    points.forEach((point, i) => {
      expect(point.totalBytes).toBeLessThanOrEqual(point.budgetBytes);
      if (i > 0) expect(point.predictedLoss).toBeLessThanOrEqual(points[i - 1].predictedLoss ?? 0);
    });
    const uniform = uniformPlans(planner);
    expect(uniform.map(({ codec }) => codec)).toEqual(CODEC_LIST);
    for (const { plan, codec } of uniform.slice(1, 4)) {
      expect(codecAt(plan, "blocks.7.attn.o")).toBe(codec);
      const best = planner.plan(plan.memory.totalBytes);
      expect(best.memory.totalBytes).toBeLessThanOrEqual(plan.memory.totalBytes);
      expect(best.predictedLoss).toBeLessThan(plan.predictedLoss ?? 0);
    }
    expect(codecAt(uniform[3].plan, "embedding")).toBe("q4s-g32");
  });
});
