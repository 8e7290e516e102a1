import path from "node:path";
import { z } from "zod";
import type { GuardResult } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import { UserError } from "../errors.ts";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import { KvType } from "../model/kv-type.ts";
import type { WorkOptions } from "../progress.ts";
import { BACKEND_CHOICES } from "../runtime/backend-names.ts";
import { EXECUTOR_CHOICES } from "../runtime/executor-info.ts";
import type { Scores } from "../scoring/scores.ts";
import type { TrainedArtifactExits } from "./exits-step.ts";
import type { CodecCost } from "./library-step.ts";
import { Recipe } from "./recipe.ts";
import type { StepReport } from "./run-folder.ts";
import { readableJson } from "./step-key.ts";

/** The steps at which a run may end, in order. */
export const STAGES = ["calibrate", "score", "plan", "quantize", "exits"] as const;
export type Stage = (typeof STAGES)[number];

/** What a run folder remembers of how it was made, so that a stage can be run on it later. Paths are absolute. */
export const RunOptions = z.strictObject({
  checkpoint: z.string(),
  /** Size expression, `auto`, or a device profile. */
  budget: z.string(),
  /** Null: the device's or the recipe's. */
  contextTokens: z.number().int().positive().nullable(),
  kvType: KvType.nullable(),
  residency: z.enum(["packed", "resident"]).nullable(),
  budgetCovers: z.enum(["model", "process"]).nullable(),
  executor: z.enum(EXECUTOR_CHOICES).default("auto"),
  backend: z.enum(BACKEND_CHOICES),
  threads: z.number().int().positive().nullable(),
  recipe: Recipe,
  /** Calibration files that replace the recipe's, or the recipe's as absolute paths. */
  calibration: z.array(z.strictObject({ path: z.string(), tokens: z.number().int().positive() })),
});
export type RunOptions = z.infer<typeof RunOptions>;

export interface CompressOptions extends WorkOptions, RunOptions {
  /** The run folder. */
  readonly out: string;
  /** One of several devices that share this run folder: its plan and artifact are kept under this name (`artifact-<device>`). */
  readonly device?: string | undefined;
  /** The last step to run; default: all. */
  readonly until?: Stage | undefined;
  readonly onStep?: ((report: StepReport) => void) | undefined;
}

/** What a run has produced so far. */
export interface CompressResult {
  readonly runFolder: string;
  /** Folder of the artifact; null when the run ended before. */
  readonly artifact: string | null;
  readonly scores: Scores | null;
  readonly plan: Plan | null;
  /** What each codec adds to the library of packed matrices; null where the quantizer needs none. */
  readonly library: readonly CodecCost[] | null;
  /** The plan beside the best uniform one; null where the recipe asks for no comparison. */
  readonly guard: GuardResult | null;
  /** The artifact's early exits as the recipe asked for them; null where it asks for none, or the run ended before. */
  readonly exits: TrainedArtifactExits | null;
  /** Where the budget came from, one line for people. */
  readonly budget: string;
  readonly budgetBytes: number;
  /** Tensors of the checkpoint that no matrix or vector uses. */
  readonly unusedTensors: readonly string[];
}

const OPTIONS_FILE = "options.json";

/** Keeps the options in the run folder. */
export async function rememberOptions(out: string, options: RunOptions): Promise<void> {
  await writeFileAtomic(path.join(out, OPTIONS_FILE), readableJson(RunOptions.strip().parse(options)));
}

/** The options that a run folder was made with. Throws UserError `NOT_A_RUN_FOLDER` where there are none. */
export async function recallOptions(out: string): Promise<RunOptions> {
  const file = path.join(out, OPTIONS_FILE);
  try {
    return await readJsonFile(file, RunOptions);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== "FILE_NOT_FOUND") throw error;
    throw new UserError(
      "NOT_A_RUN_FOLDER",
      `${out}: expected a run folder with ${OPTIONS_FILE}, found none`,
      "start one with layerwise compress or layerwise calibrate CHECKPOINT --out FOLDER",
    );
  }
}
