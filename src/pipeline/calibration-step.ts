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
import { type Recipe, sequenceTokensFor } from "./recipe.ts";

/** What `calibration.json` holds: the token ids themselves, so that later steps need neither text nor tokenizer. */
export const CalibrationStep = z.strictObject({
  id: z.string(),
  tokens: z.number().int().positive(),
  sources: z.array(z.strictObject({ path: z.string(), sha256: z.string(), tokens: z.number(), sequences: z.number() })),
  sequences: z.array(z.array(z.number().int().nonnegative())),
  /** Sequences of the same files that only the guard sees. */
  heldOut: z.array(z.array(z.number().int().nonnegative())),
});
export type CalibrationStep = z.infer<typeof CalibrationStep>;

/** What the choice of sequences depends on: contents, not paths. */
export async function calibrationInputs(
  tokenizer: Tokenizer,
  { maxPositions }: DecoderSpec,
  { calibration, recipe }: RunOptions,
): Promise<unknown> {
  const { seed } = recipe.calibration;
  const sequenceTokens = sequenceTokensFor(recipe, maxPositions);
  const heldOut = heldOutSequences(recipe, sequenceTokens);
  const sources = await Promise.all(
    calibration.map(async ({ path: file, tokens }) => ({ sha256: (await hashFile(file)).sha256, tokens })),
  );
  return {
    tokenizer: (await hashFile(path.join(tokenizer.label, "tokenizer.json"))).sha256,
    sources,
    sequenceTokens,
    seed,
    heldOut,
  };
}

/** Throws UserError `CALIBRATION_SEQUENCE` where sequences would be longer than the model was made for. */
export function checkSequenceTokens(recipe: Recipe, { maxPositions }: DecoderSpec): void {
  const sequenceTokens = sequenceTokensFor(recipe, maxPositions);
  if (sequenceTokens <= maxPositions) return;
  throw new UserError(
    "CALIBRATION_SEQUENCE",
    `calibration: sequenceTokens: expected at most the model's ${maxPositions} positions, found ${sequenceTokens}`,
    "leave sequenceTokens out of the recipe: it is then chosen for the model",
  );
}

/** Picks the calibration sequences. */
export async function calibrate(
  tokenizer: Tokenizer,
  { maxPositions }: DecoderSpec,
  { calibration, recipe, onProgress, signal }: RunOptions & WorkOptions,
): Promise<CalibrationStep> {
  const { seed } = recipe.calibration;
  const sequenceTokens = sequenceTokensFor(recipe, maxPositions);
  const heldOutCount = heldOutSequences(recipe, sequenceTokens);
  const wanted = withHeldOut(calibration, heldOutCount, sequenceTokens);
  const built = await buildCalibration(tokenizer, wanted, { sequenceTokens, seed, onProgress, signal });
  const sequences = built.sequences.map((sequence) => [...sequence]);
  // They are in random order: the last ones are of all files.
  const heldOut = sequences.splice(sequences.length - heldOutCount);
  const tokens = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  return { ...built, tokens, sources: [...built.sources], sequences, heldOut };
}

function heldOutSequences({ guard }: Recipe, sequenceTokens: number): number {
  return Math.ceil(guard.tokens / sequenceTokens);
}

/** The files with so many sequences more, shared out evenly. */
function withHeldOut(sources: RunOptions["calibration"], sequences: number, sequenceTokens: number) {
  const share = (i: number) =>
    Math.floor(((i + 1) * sequences) / sources.length) - Math.floor((i * sequences) / sources.length);
  return sources.map(({ path: file, tokens }, i) => ({ path: file, tokens: tokens + share(i) * sequenceTokens }));
}

/** The saved sequences as scorers take them. */
export function restoreCalibration(saved: CalibrationStep): Calibration {
  return { ...saved, sequences: saved.sequences.map((sequence) => Int32Array.from(sequence)) };
}
