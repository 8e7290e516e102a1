import { z } from "zod";
import { calibrationFromSequences } from "../../calibration/sequences.ts";
import { exitSettingsOf } from "../exit-settings.ts";
import { EXIT_TEXTS } from "../exit-texts/index.ts";
import type { Job, Step } from "../job.ts";
import { trunkOf } from "../job-trunk.ts";
import { sequenceTokensFor } from "../recipe.ts";
import { textFilesOf, tokenizerSha256 } from "../text-files.ts";
import { calibrationStep } from "./calibration.ts";

/** What `exit-text.json` holds: the token ids that exits are trained, calibrated and reported on. */
export const ExitText = z.strictObject({
  /** Names the sequences. */
  id: z.string(),
  tokens: z.number().int().nonnegative(),
  sequences: z.array(z.array(z.number().int().nonnegative())),
});
export type ExitText = z.infer<typeof ExitText>;

/** Finds, or has the packed model write, the text for exits: other text than the guard's. */
export const exitTextStep: Step<ExitText> = {
  name: "exit-text",
  schema: ExitText,
  perDevice: true,
  wanted: ({ exits }) => exits !== undefined,
  id: ({ id }) => id,

  async inputs(job) {
    const { data } = exitSettingsOf(job.recipe);
    const { tokens, sequenceTokens, seed } = textOf(job);
    await job.askPart(calibrationStep, "heldOut", ({ heldOut }) => heldOut);
    return {
      ...{ data, tokens, seed, sequenceTokens },
      tokenizer: tokenizerSha256(job),
      files: (await job.once(textFilesOf)).map(({ sha256 }) => sha256),
      ...(await EXIT_TEXTS[data].inputs({ trunk: () => job.once(trunkOf) })),
    };
  },

  async compute(job, { scratch }) {
    const { onProgress, signal } = job.options;
    const heldOut = (await job.ask(calibrationStep))?.value.heldOut ?? [];
    const trunk = () => job.once(trunkOf);
    const files = await job.once(textFilesOf);
    const work = { ...textOf(job), files, heldOut, trunk, scratch, onProgress, signal };
    const sequences = await EXIT_TEXTS[exitSettingsOf(job.recipe).data].sequences(work);
    const { id, tokens: found } = calibrationFromSequences(sequences);
    const { tokens, sequenceTokens } = work;
    // Whole sequences of each file: a little less than was asked for is no shortage.
    if (found < tokens - sequenceTokens * files.length) {
      const note = `${found} tokens, fewer than the ${tokens} asked for: the text files hold no more`;
      onProgress?.({ stage: "exit text", done: 1, total: 1, note });
    }
    return { id, tokens: found, sequences: sequences.map((sequence) => [...sequence]) };
  },
};

/** More of the files that the recipe's calibration is taken from. */
function textOf({ recipe, facts: { tokenizer, spec } }: Job) {
  return {
    tokenizer,
    tokens: exitSettingsOf(recipe).tokens,
    sequenceTokens: sequenceTokensFor(recipe, spec.maxPositions),
    seed: recipe.seed,
  };
}

/** The text as training takes it. */
export function sequencesOf({ sequences }: ExitText): Int32Array[] {
  return sequences.map((sequence) => Int32Array.from(sequence));
}
