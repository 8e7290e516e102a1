import path from "node:path";
import { z } from "zod";
import { hashFile } from "../artifact/content-hash.ts";
import { buildCalibration } from "../calibration/build.ts";
import type { Calibration } from "../calibration/calibration.ts";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { type Recipe, sequenceTokensFor } from "./recipe.ts";
import type { RunOptions } from "./run-options.ts";

/** What `calibration.json` holds: the token ids themselves, so that later steps need neither text nor tokenizer. */
export const CalibrationStep = z.strictObject({
  /** Names `sequences` alone: what was made with them stays when another guard holds out more or less. */
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
  const heldOut = heldOutCount(recipe, sequenceTokens);
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
  const options = { sequenceTokens, seed, heldOutSequences: heldOutCount(recipe, sequenceTokens), onProgress, signal };
  const { id, tokens, sources, sequences, heldOut } = await buildCalibration(tokenizer, calibration, options);
  const plain = (all: readonly Int32Array[]) => all.map((sequence) => [...sequence]);
  return { id, tokens, sources: [...sources], sequences: plain(sequences), heldOut: plain(heldOut) };
}

function heldOutCount({ guard }: Recipe, sequenceTokens: number): number {
  return Math.ceil(guard.tokens / sequenceTokens);
}

/** The saved sequences as scorers take them. */
export function restoreCalibration(saved: CalibrationStep): Calibration {
  return { ...saved, sequences: saved.sequences.map((sequence) => Int32Array.from(sequence)) };
}
