import { beforeAll, describe, expect, it } from "vitest";
import { CODECS, type CodecId } from "../../../src/codecs/index.ts";
import { type BlockSpec, type DecoderSpec, matricesOf } from "../../../src/model/decoder-spec.ts";
import { memorySum } from "../../../src/model/memory.ts";
import { loadHighs } from "../../../src/planning/optimal/highs-solver.ts";
import type { MilpSolver } from "../../../src/planning/optimal/milp.ts";
import { makePlan } from "../../../src/planning/plan.ts";
import { createPlanner, type PlanRequest } from "../../../src/planning/planner.ts";
import { assignmentOf } from "../../../src/planning/prediction.ts";
import { type BlockForm, type BlockForms, formedSpec } from "../../../src/planning/problem/block-forms.ts";
import type { Losses } from "../../../src/scoring/scores.ts";
import { Random } from "../../../src/tensor/random.ts";
import { exampleSpec, lossScores, planSettings } from "../example-spec.ts";

let highs: MilpSolver;
beforeAll(async () => {
  highs = await loadHighs();
});

const CODEC_LIST: CodecId[] = ["q8s-g32", "q4s-g32", "q2s-g32"];
const SPEC = exampleSpec({ ffn: [96, 160, 96] });
const CONTEXT = 256;

function randomLosses(seed = 1): Losses {
  const random = new Random(seed);
  return Object.fromEntries(
    matricesOf(SPEC).map(({ id, rows, cols }) => {
      const alpha = rows * cols * Math.exp(random.nextNormal());
      return [id, Object.fromEntries(CODEC_LIST.map((codec) => [codec, 1e-6 * alpha * 4 ** -CODECS[codec].bits]))];
    }),
  );
}

function request(settings: Record<string, unknown> = {}, overrides: Partial<PlanRequest> = {}): PlanRequest {
  const recipe = planSettings({ allocator: "optimal", codecs: CODEC_LIST, embedding: "q8s-g32", ...settings });
  const scores = lossScores(randomLosses());
  return { spec: SPEC, scores, recipe, contextTokens: CONTEXT, storedDtype: "BF16", ...overrides };
}

/** Without its attention, without its MLP, with some of its channels, and whole. */
function formsOf(losses: readonly [attention: number, mlp: number, channels: number]): BlockForms {
  return SPEC.blocks.map((block): BlockForm[] => {
    const bare = { pre: null, post: null };
    const cut = (kind: string, loss: number, shape: Partial<BlockSpec>): BlockForm => ({
      block: { ...block, ...shape },
      cut: { kind, kept: 0, slices: 1, loss },
    });
    const { mlp } = block;
    if (!mlp) throw new Error("an MLP is expected");
    const fewer = {
      ...mlp,
      gate: mlp.gate && { ...mlp.gate, rows: 64 },
      up: { ...mlp.up, rows: 64 },
      down: { ...mlp.down, cols: 64 },
    };
    return [
      { block, cut: null },
      cut("attention", losses[0], { attention: null, attentionNorms: bare }),
      cut("mlp", losses[1], { mlp: null, mlpNorms: bare }),
      cut("neurons", losses[2], { mlp: fewer }),
    ];
  });
}

/** The least loss by trying every choice of forms as a model of its own. */
function leastOfAll(asked: PlanRequest, forms: BlockForms, budgetBytes: number): number {
  const whole = new Map(matricesOf(asked.spec).map(({ id, rows, cols }) => [id, rows * cols]));
  const losses = asked.scores?.losses ?? {};
  let least = Number.POSITIVE_INFINITY;
  for (const picks of choices(forms.map(({ length }) => length))) {
    const spec = formedSpec(asked.spec, forms, picks);
    const own: Losses = Object.fromEntries(
      matricesOf(spec).map(({ id, rows, cols }) => {
        const share = (rows * cols) / (whole.get(id) ?? 1);
        return [id, Object.fromEntries(Object.entries(losses[id]).map(([codec, loss]) => [codec, loss * share]))];
      }),
    );
    const planner = createPlanner({ ...asked, spec, scores: lossScores(own) }, highs);
    if (planner.range().smallestBytes > budgetBytes) continue;
    const cuts = picks.reduce((sum, form, block) => sum + (forms[block][form].cut?.loss ?? 0), 0);
    least = Math.min(least, (planner.plan(budgetBytes).predictedLoss ?? 0) + cuts);
  }
  return least;
}

function choices(counts: readonly number[]): number[][] {
  return counts.reduce<number[][]>(
    (all, count) => all.flatMap((picks) => Array.from({ length: count }, (_, form) => [...picks, form])),
    [[]],
  );
}

function specOf(plan: ReturnType<typeof makePlan>, forms: BlockForms): DecoderSpec {
  const cuts = plan.pruning?.cuts ?? [];
  const picks = forms.map((ofBlock, i) => ofBlock.findIndex(({ cut }) => cut?.kind === cuts[i]?.kind));
  return formedSpec(SPEC, forms, picks);
}

describe("forms of blocks beside codecs", () => {
  it("are chosen as trying every choice of them chooses, under the exact memory sum", () => {
    const asked = request();
    const forms = formsOf([0.0008, 0.02, 0.0004]);
    const range = createPlanner({ ...asked, forms }, highs).range();
    expect(range.smallestBytes).toBeLessThan(createPlanner(asked, highs).range().smallestBytes);
    const kinds = new Set<string | undefined>();
    for (const share of [0.3, 0.55, 0.8]) {
      const budgetBytes = Math.floor(range.smallestBytes + (range.largestBytes - range.smallestBytes) * share);
      const plan = makePlan({ ...asked, forms, budgetBytes }, highs);
      expect(plan.memory.totalBytes).toBeLessThanOrEqual(budgetBytes);
      const conditions = { contextTokens: CONTEXT, kvType: "f16", residency: "packed", runtimeBaseBytes: 0 } as const;
      const sum = memorySum(specOf(plan, forms), assignmentOf(plan), { ...conditions, budgetCovers: "model" });
      expect(plan.memory).toEqual(sum);
      expect(plan.predictedLoss).toBeCloseTo(leastOfAll(asked, forms, budgetBytes), 10);
      expect(plan.pruning?.wholeLoss ?? Number.POSITIVE_INFINITY).toBeGreaterThanOrEqual(plan.predictedLoss ?? 0);
      for (const cut of plan.pruning?.cuts ?? []) kinds.add(cut?.kind);
    }
    expect(kinds.size).toBeGreaterThan(1);
  });

  it("are not chosen where they do not pay, and the plan says what they would lose", () => {
    const asked = request();
    const forms = formsOf([9, 9, 8]);
    const { smallestBytes, largestBytes } = createPlanner(asked, highs).range();
    const budgetBytes = Math.floor((smallestBytes + largestBytes) / 2);
    const whole = makePlan({ ...asked, budgetBytes }, highs);
    const { pruning, ...plan } = makePlan({ ...asked, forms, budgetBytes }, highs);
    expect(plan).toEqual(whole);
    expect(pruning?.cuts).toEqual([null, null, null]);
    expect(pruning?.wholeLoss).toBe(whole.predictedLoss);
    expect(pruning?.cutLoss).toBeGreaterThan(8);
  });

  it("say that nothing whole fits where only they do", () => {
    const asked = request();
    const forms = formsOf([1, 1, 1]);
    const budgetBytes = createPlanner(asked, highs).range().smallestBytes - 5000;
    const plan = makePlan({ ...asked, forms, budgetBytes }, highs);
    expect(plan.pruning).toMatchObject({ wholeLoss: null });
    expect(plan.memory.totalBytes).toBeLessThanOrEqual(budgetBytes);
  });

  it("make a token quicker, and are chosen for that alone", () => {
    const forms = formsOf([0.5, 0.5, 0.5]);
    const latency = { gigabytesPerSecond: 0.01, msPerMatrix: 1, msPerToken: 18 };
    const bound = makePlan({ ...request({ latency }), forms, budgetBytes: 2 ** 30 }, highs);
    expect(bound.pruning?.cuts.some((cut) => cut !== null)).toBe(true);
    expect(bound.pruning?.wholeLoss).toBeNull();
    const ms = bound.units.reduce((sum, { bytes }) => sum + bytes / 1e4 + 1, 0);
    expect(ms).toBeLessThanOrEqual(18);
    const free = makePlan({ ...request(), forms, budgetBytes: 2 ** 30 }, highs);
    expect(free.pruning?.cuts).toEqual([null, null, null]);
  });
});
