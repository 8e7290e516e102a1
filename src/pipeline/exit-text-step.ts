import path from "node:path";
import { z } from "zod";
import { hashFile } from "../artifact/content-hash.ts";
import { gatherCalibration } from "../calibration/gather.ts";
import { calibrationFromSequences } from "../calibration/sequences.ts";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { SELF_PROMPT_TOKENS, SELF_SAMPLING, SELF_TEXT_TOKENS, writeSelfText } from "../training/exits/self-text.ts";
import type { CalibrationStep } from "./calibration-step.ts";
import type { ExitSettings } from "./exit-settings.ts";
import { sequenceTokensFor } from "./recipe.ts";
import type { RunFolder, StepResult } from "./run-folder.ts";
import type { RunOptions } from "./run-options.ts";
import { hashOf } from "./step-key.ts";
import type { Trunk } from "./trunk.ts";

/** What `exit-text.json` holds: the token ids that exits are trained, calibrated and reported on. */
export const ExitText = z.strictObject({
  /** Names the sequences. */
  id: z.string(),
  tokens: z.number().int().nonnegative(),
  sequences: z.array(z.array(z.number().int().nonnegative())),
});
export type ExitText = z.infer<typeof ExitText>;

/** Where the text comes from. */
export interface ExitTextSource {
  readonly tokenizer: Tokenizer;
  readonly files: readonly string[];
  readonly sequenceTokens: number;
  /** Sequences of the same files that exits must not see: the guard's. */
  readonly heldOut: readonly (readonly number[])[];
}

/** The text of a run's recipe: more of the files that its calibration was taken from. */
export function exitTextOf({
  tokenizer,
  spec,
  options: { recipe, calibration: files },
  calibration,
}: {
  readonly tokenizer: Tokenizer;
  readonly spec: DecoderSpec;
  readonly options: Pick<RunOptions, "recipe" | "calibration">;
  /** Null where the run has none. */
  readonly calibration: Pick<CalibrationStep, "heldOut"> | null;
}): ExitTextSource {
  return {
    tokenizer,
    files: files.map(({ path: file }) => file),
    sequenceTokens: sequenceTokensFor(recipe, spec.maxPositions),
    heldOut: calibration?.heldOut ?? [],
  };
}

/** Fewest sequences that can be split by use. */
const LEAST_SEQUENCES = 4;

/** Throws UserError EXIT_TOKENS where so few tokens are asked for that they cannot be split by use. */
export function checkExitTokens(
  { data, tokens }: ExitSettings,
  { files, sequenceTokens }: { readonly files: number; readonly sequenceTokens: number },
): void {
  // Files give whole sequences, as many each.
  const parts = data === "self" ? 1 : files;
  const length = data === "self" ? SELF_TEXT_TOKENS : sequenceTokens;
  const least = Math.ceil(LEAST_SEQUENCES / parts) * parts * length;
  if (tokens >= least) return;
  const from = parts === 1 ? "" : ` from ${parts} files`;
  throw new UserError(
    "EXIT_TOKENS",
    `exits.tokens: expected at least ${least}, ${least / length} sequences of ${length}${from}, found ${tokens}`,
    "ask for more tokens",
  );
}

/** What the text is chosen, or written, for and by. */
export interface ExitTextWork {
  readonly settings: ExitSettings;
  readonly seed: number;
  readonly source: ExitTextSource;
  readonly trunk: Trunk;
  readonly options: WorkOptions;
}

/** The text as a step of its run. Text of the model's own depends on the packed trunk, other text on the files alone. */
export async function exitTextStep(run: RunFolder, name: string, work: ExitTextWork): Promise<StepResult<ExitText>> {
  const { settings, seed, source, trunk } = work;
  const { data, tokens } = settings;
  const { tokenizer, files, heldOut, sequenceTokens } = source;
  const self = [trunk.sha256, trunk.executor, SELF_PROMPT_TOKENS, SELF_SAMPLING, SELF_TEXT_TOKENS];
  const inputs = {
    ...{ data, tokens, seed, sequenceTokens, heldOut: hashOf(heldOut) },
    tokenizer: (await hashFile(path.join(tokenizer.label, "tokenizer.json"))).sha256,
    files: await Promise.all(files.map(async (file) => (await hashFile(file)).sha256)),
    ...(data === "self" ? { self } : {}),
  };
  return run.step(name, ExitText, inputs, async (step) => {
    const sequences = data === "self" ? await writtenText(work, await step.scratch()) : await foundText(work);
    const { id, tokens: found } = calibrationFromSequences(sequences);
    // Whole sequences of each file: a little less than was asked for is no shortage.
    if (found < tokens - sequenceTokens * files.length) {
      const note = `${found} tokens, fewer than the ${tokens} asked for: the text files hold no more`;
      work.options.onProgress?.({ stage: "exit text", done: 1, total: 1, note });
    }
    return { id, tokens: found, sequences: sequences.map((sequence) => [...sequence]) };
  });
}

async function foundText({
  settings: { tokens },
  seed,
  source,
  options,
}: ExitTextWork): Promise<readonly Int32Array[]> {
  const { tokenizer, files, sequenceTokens, heldOut } = source;
  const { onProgress, signal } = options;
  return (await gatherCalibration(tokenizer, files, { tokens, seed, sequenceTokens, heldOut, onProgress, signal }))
    .sequences;
}

/** Beginnings from the files, continued by the model: twice as many as whole texts need, since some end early. */
async function writtenText(
  { settings: { tokens }, seed, source, trunk, options }: ExitTextWork,
  folder: string,
): Promise<Int32Array[]> {
  const { tokenizer, files, heldOut } = source;
  const { onProgress, signal } = options;
  const { most } = SELF_PROMPT_TOKENS;
  const wanted = Math.max(files.length, 2 * Math.ceil(tokens / SELF_TEXT_TOKENS));
  const { sequences: prompts } = await gatherCalibration(tokenizer, files, {
    ...{ tokens: wanted * most, sequenceTokens: most, seed, heldOut, signal },
  });
  return trunk.use((executor, { memory: { kvType } }) =>
    writeSelfText({ executor, prompts, tokens, seed, kvType, folder, onProgress, signal }),
  );
}
