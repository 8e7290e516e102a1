import { describe, expect, it } from "vitest";
import type { Plan } from "../../src/artifact/plan.ts";
import { leastLoss } from "../../src/pipeline/packed-plan.ts";
import { makePlan } from "../../src/planning/plan.ts";
import { planSettings, smolSpec } from "../planning/example-spec.ts";

describe("the uniform plan to beat", () => {
  const settings = planSettings({ allocator: "uniform" });
  const made = makePlan({
    spec: smolSpec(),
    scores: null,
    recipe: settings,
    contextTokens: 8,
    storedDtype: "BF16",
    budgetBytes: null,
  });
  const plan = (totalBytes: number, predictedLoss: number | null, kvType: Plan["memory"]["kvType"] = "f16"): Plan => ({
    ...made,
    ...{ predictedLoss, memory: { ...made.memory, totalBytes, kvType } },
  });

  it("takes no more bytes, keeps the KV type, and loses least, or is the largest where no loss is known", () => {
    const own = plan(100, 1);
    const [small, fits, tooLarge, otherKv] = [plan(50, 3), plan(90, 2), plan(101, 0.1), plan(60, 0.1, "q8")];
    expect(leastLoss([small, fits, tooLarge, otherKv], own)).toBe(fits);
    expect(leastLoss([tooLarge], own)).toBeNull();
    const unknown = [plan(50, null), plan(100, null), plan(101, null)];
    expect(leastLoss(unknown, own)).toBe(unknown[1]);
  });
});
