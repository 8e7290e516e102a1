import { z } from "zod";
import { limitTokens } from "../../calibration/sequences.ts";
import { choosePoints, evenly, lensAgreement } from "../../training/exits/points.ts";
import { splitSequences } from "../../training/exits/splits.ts";
import { exitCount, exitSettingsOf, namedPoints } from "../exit-settings.ts";
import type { Job, Step } from "../job.ts";
import { trunkOf } from "../job-trunk.ts";
import { windowEndsOf } from "../tune-settings.ts";
import { exitTextStep, sequencesOf } from "./exit-text.ts";

/**
 * Tokens that `auto` chooses points by: the whole vocabulary's answer after every block is computed for each. Shares
 * within 1 %.
 */
const AUTO_TOKENS = 2048;

/** With `after: auto`: measures where the answers by depth promise most. */
export const exitPointsStep: Step<number[]> = {
  name: "exit-points",
  schema: z.array(z.number().int()),
  perDevice: true,
  wanted: ({ exits }) => exits?.after === "auto",

  async inputs(job) {
    await job.get(exitTextStep);
    // By its hash: an adapter that was added beside the recipe is part of no step's name.
    const { sha256: trunk, executor } = await job.once(trunkOf);
    return { trunk, executor, count: exitCount(exitSettingsOf(job.recipe)), seed: job.recipe.seed };
  },

  async compute(job) {
    const { onProgress, signal } = job.options;
    const { value: text } = await job.get(exitTextStep);
    const trunk = await job.once(trunkOf);
    // What the thresholds are fitted to and reported on chooses nothing.
    const { train } = splitSequences(sequencesOf(text), job.recipe.seed);
    const agreement = await trunk.use((executor) =>
      lensAgreement(executor, limitTokens(train, AUTO_TOKENS), { onProgress, signal }),
    );
    return choosePoints(agreement, exitCount(exitSettingsOf(job.recipe)));
  },
};

/** Blocks run before each exit, for `job.once`: as named, evenly spaced, or as measured. */
export async function exitPointsOf(job: Job): Promise<readonly number[]> {
  const settings = exitSettingsOf(job.recipe);
  const { spec } = job.facts;
  const measured = await job.ask(exitPointsStep);
  if (measured) return measured.value;
  return namedPoints(settings, windowEndsOf(job.recipe, spec)) ?? evenly(spec.blocks.length, exitCount(settings));
}
