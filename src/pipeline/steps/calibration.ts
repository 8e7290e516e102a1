import { z } from "zod";
import { buildCalibration } from "../../calibration/build.ts";
import type { Calibration } from "../../calibration/calibration.ts";
import type { Job, Step } from "../job.ts";
import { sequenceTokensFor, usesCalibration } from "../recipe.ts";
import { textFilesOf, tokenizerSha256 } from "../text-files.ts";

/** What `calibration.json` holds: the token ids themselves, so that later steps need neither text nor tokenizer. */
export const CalibrationTokens = z.strictObject({
  /** Names `sequences` alone: what was made with them stays when another guard holds out more or less. */
  id: z.string(),
  tokens: z.number().int().positive(),
  sources: z.array(z.strictObject({ path: z.string(), sha256: z.string(), tokens: z.number(), sequences: z.number() })),
  sequences: z.array(z.array(z.number().int().nonnegative())),
  /** Sequences of the same files that only the guard sees. */
  heldOut: z.array(z.array(z.number().int().nonnegative())),
});
export type CalibrationTokens = z.infer<typeof CalibrationTokens>;

/** Picks the calibration sequences from the text files, by seed. */
export const calibrationStep: Step<CalibrationTokens> = {
  name: "calibration",
  schema: CalibrationTokens,
  wanted: usesCalibration,
  id: ({ id }) => id,

  /** Contents of the texts, not their paths. */
  async inputs(job) {
    const files = await job.once(textFilesOf);
    return {
      tokenizer: tokenizerSha256(job),
      sources: files.map(({ sha256, tokens }) => ({ sha256, tokens })),
      ...lengthsOf(job),
      seed: job.recipe.calibration.seed,
    };
  },

  async compute(job) {
    const { recipe, onProgress, signal } = job.options;
    const { sequenceTokens, heldOut: heldOutSequences } = lengthsOf(job);
    const files = await job.once(textFilesOf);
    const { id, tokens, sources, sequences, heldOut } = await buildCalibration(job.facts.tokenizer, files, {
      ...{ sequenceTokens, heldOutSequences, seed: recipe.calibration.seed, onProgress, signal },
    });
    const plain = (all: readonly Int32Array[]) => all.map((sequence) => [...sequence]);
    return { id, tokens, sources: [...sources], sequences: plain(sequences), heldOut: plain(heldOut) };
  },
};

/** Tokens of a sequence, and how many are held out. */
function lengthsOf({ recipe, facts: { spec } }: Job) {
  const sequenceTokens = sequenceTokensFor(recipe, spec.maxPositions);
  return { sequenceTokens, heldOut: Math.ceil(recipe.guard.tokens / sequenceTokens) };
}

/** The saved sequences as scorers and quantizers take them. */
export function restoreCalibration(saved: CalibrationTokens): Calibration {
  return { ...saved, sequences: saved.sequences.map((sequence) => Int32Array.from(sequence)) };
}
