import path from "node:path";
import { z } from "zod";
import { hashFile } from "../artifact/content-hash.ts";
import { buildCalibration } from "../calibration/build.ts";
import type { Calibration } from "../calibration/calibration.ts";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import type { RunOptions } from "./compress-options.ts";
import type { Recipe } from "./recipe.ts";

/** What `calibration.json` holds: the token ids themselves, so that later steps need neither text nor tokenizer. */
export const CalibrationStep = z.strictObject({
  id: z.string(),
  tokens: z.number().int().positive(),
  sources: z.array(z.strictObject({ path: z.string(), sha256: z.string(), tokens: z.number(), sequences: z.number() })),
  sequences: z.array(z.array(z.number().int().nonnegative())),
});
export type CalibrationStep = z.infer<typeof CalibrationStep>;

/** What the choice of sequences depends on: contents, not paths. */
export async function calibrationInputs(tokenizer: Tokenizer, { calibration, recipe }: RunOptions): Promise<unknown> {
  const { sequenceTokens, seed } = recipe.calibration;
  const sources = await Promise.all(
    calibration.map(async ({ path: file, tokens }) => ({ sha256: (await hashFile(file)).sha256, tokens })),
  );
  return {
    tokenizer: (await hashFile(path.join(tokenizer.label, "tokenizer.json"))).sha256,
    sources,
    sequenceTokens,
    seed,
  };
}

/** Throws UserError `CALIBRATION_SEQUENCE` where sequences would be longer than the model was made for. */
export function checkSequenceTokens({ calibration }: Recipe, { maxPositions }: DecoderSpec): void {
  const { sequenceTokens } = calibration;
  if (sequenceTokens <= maxPositions) return;
  throw new UserError(
    "CALIBRATION_SEQUENCE",
    `calibration: sequenceTokens: expected at most the model's ${maxPositions} positions, found ${sequenceTokens}`,
    `take a recipe with sequences of ${maxPositions} tokens or fewer`,
  );
}

/** Picks the calibration sequences. */
export async function calibrate(
  tokenizer: Tokenizer,
  { calibration, recipe, onProgress, signal }: RunOptions & WorkOptions,
): Promise<CalibrationStep> {
  const { sequenceTokens, seed } = recipe.calibration;
  const built = await buildCalibration(tokenizer, calibration, { sequenceTokens, seed, onProgress, signal });
  return { ...built, sources: [...built.sources], sequences: built.sequences.map((sequence) => [...sequence]) };
}

/** The saved sequences as scorers take them. */
export function restoreCalibration(saved: CalibrationStep): Calibration {
  return { ...saved, sequences: saved.sequences.map((sequence) => Int32Array.from(sequence)) };
}
