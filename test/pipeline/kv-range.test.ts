import { describe, expect, it } from "vitest";
import type { Job } from "../../src/pipeline/job.ts";
import { rangedRequest } from "../../src/pipeline/kv-range.ts";
import { type CheckpointJob, withJob } from "../../src/pipeline/open-job.ts";
import { calibrationStep } from "../../src/pipeline/steps/calibration.ts";
import { planStep } from "../../src/pipeline/steps/plan.ts";
import { weightsStep } from "../../src/pipeline/steps/weights.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { scaledSource } from "../support/scaled-source.ts";
import { exampleOptions, RECIPES, TOKENS } from "./example-job.ts";

const out = temporaryFolder();
/** Values of block 2 beyond f16. */
const LARGE = { "blocks.2.attn.v": 2 ** 18, "blocks.2.attn.o": 2 ** -18 };

/** A run of the example whose weights are multiplied by factors and are said to bound keys and values so. */
function withFactors<T>(
  { factors, keyValueBound }: { factors: Record<string, number>; keyValueBound: number | null },
  use: (job: Job) => Promise<T>,
  changes: Partial<CheckpointJob> = {},
): Promise<T> {
  return withJob(exampleOptions(RECIPES.rounded, { out, ...changes }), { plans: false }, async (job) => {
    const origin = job.origin;
    Object.assign(origin, { source: scaledSource(origin.source, factors) });
    job.give(weightsStep, { checkpointId: "w", files: [], keyValueBound });
    job.give(calibrationStep, TOKENS);
    return use(job);
  });
}

describe("kv-f16-overflow: the KV type of a plan", () => {
  it("is another one, with a line, where calibration text shows keys or values beyond f16", () =>
    withFactors({ factors: LARGE, keyValueBound: 1e6 }, async (job) => {
      expect((await job.get(planStep)).value.memory.kvType).toBe("q8");
      expect((await job.once(rangedRequest)).note).toBe(
        "blocks.2: keys or values are beyond f16 (65,504) on the calibration text: they are planned in q8; --kv f32 keeps them exactly",
      );
    }));

  it("stays where the calibration text shows none, and where the weights bound them", async () => {
    const kept = async ({
      factors,
      keyValueBound,
    }: {
      factors: Record<string, number>;
      keyValueBound: number | null;
    }) =>
      withFactors({ factors, keyValueBound }, async (job) => {
        expect(await job.once(rangedRequest)).toEqual({ request: job.origin.request, note: null });
        expect((await job.get(planStep)).value.memory.kvType).toBe("f16");
      });
    await kept({ factors: {}, keyValueBound: null });
    await kept({ factors: {}, keyValueBound: 1e6 });
    // Not looked at.
    await kept({ factors: LARGE, keyValueBound: 100 });
  });

  it("is refused by name where the run asks for f16, and stays where it asks for another", async () => {
    const wide = { factors: LARGE, keyValueBound: 1e6 };
    await withFactors(
      wide,
      (job) =>
        expect(job.get(planStep)).rejects.toMatchObject({
          code: "KV_RANGE",
          hint: "they are beyond its range: give --kv f32 or --kv q8",
        }),
      { kvType: "f16" },
    );
    await withFactors(wide, async (job) => expect((await job.get(planStep)).value.memory.kvType).toBe("f32"), {
      kvType: "f32",
    });
  });
});
