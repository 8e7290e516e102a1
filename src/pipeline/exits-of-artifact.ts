import { promises as fs } from "node:fs";
import path from "node:path";
import { bareSha256 } from "../artifact/bare.ts";
import { checkExitBudget } from "../artifact/exits/add.ts";
import { fileNames } from "../artifact/manifest.ts";
import { readManifest } from "../artifact/reader.ts";
import { loadTokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { TOOL_VERSION } from "../version.ts";
import { findArtifact } from "./artifact-place.ts";
import { checkExitTexts } from "./check-request.ts";
import { type ExitSettings, exitShapeOf, mergeExitSettings } from "./exit-settings.ts";
import { Job } from "./job.ts";
import { calibrationFiles, loadRecipe } from "./recipe.ts";
import { openRunFolder, peek, type StepReport } from "./run-folder.ts";
import type { RunOptions } from "./run-options.ts";
import { artifactStep } from "./steps/artifact.ts";
import { calibrationStep } from "./steps/calibration.ts";
import { type TrainedArtifactExits, trainedExits } from "./steps/exits.ts";
import { tuneStep } from "./steps/tune.ts";
import { windowEndsOf } from "./tune-settings.ts";

/** The recipe whose text and settings serve where no run folder has any. */
const DEFAULT_RECIPE = "dssd";

/** What is asked for in place of what the run folder's recipe says. */
export interface ExitsRequest extends WorkOptions {
  /** Fields of the recipe's `exits`. */
  readonly settings: Partial<Record<keyof ExitSettings, unknown>>;
  /** Text files; null: those of the run folder, or that ship. */
  readonly text: readonly string[] | null;
  readonly seed: number | null;
  /**
   * Keeps the steps and the states; null: the run folder, or a folder beside the artifact that is removed in the end.
   */
  readonly work: string | null;
  readonly overBudget: boolean;
  /** Null: the run folder's, or the default. */
  readonly executor: RunOptions["executor"] | null;
  readonly backend: RunOptions["backend"] | null;
  readonly threads?: number | undefined;
  readonly onStep?: ((report: StepReport) => void) | undefined;
}

/** An artifact that got exits. */
export interface ExitsOfArtifact extends TrainedArtifactExits {
  /** Its folder. */
  readonly artifact: string;
}

/**
 * Trains early exits for an artifact that exists, in place of any that it has: for one of a run folder with that
 * folder's text and memory, for any other with text that is named or ships. Throws UserError for what the user can mend
 * (before anything that takes long: exits that the model is too small for, or its budget), Interrupted when stopped;
 * the same call goes on.
 */
export async function exitsOfArtifact(target: string, request: ExitsRequest): Promise<ExitsOfArtifact> {
  const { folder: artifactFolder, run: made, device } = await findArtifact(target);
  const { overBudget, onStep, signal } = request;
  const options = await jobOptions(request, made?.options ?? null);
  const { recipe, exits } = options;
  const manifest = await readManifest(artifactFolder);
  const { spec } = manifest;
  const tokenizer = await loadTokenizer(artifactFolder, { spec, listed: fileNames(manifest) });
  const shape = exitShapeOf(exits, spec, windowEndsOf(recipe, spec));
  checkExitTexts(recipe, exits, { spec, files: options.calibration.length });
  if (!overBudget) checkExitBudget(manifest, shape, artifactFolder);
  const calibration = made && (await peek(made.folder, calibrationStep));

  const out = request.work ?? made?.folder ?? `${path.resolve(artifactFolder)}.exits-work`;
  const isKept = request.work !== null || made !== null;
  const run = await openRunFolder(out, { toolVersion: TOOL_VERSION, onStep, signal });
  try {
    const job = new Job({ run, options, spec, tokenizer, device, origin: null, artifactFolder, overBudget });
    job.give(artifactStep, { manifestSha256: await bareSha256(artifactFolder) });
    const named = { ...tuneStep, name: job.named(tuneStep.name) };
    job.give(tuneStep, made && (await peek(made.folder, named)));
    job.give(calibrationStep, calibration);
    const trained = { ...(await trainedExits(job)), artifact: artifactFolder };
    if (isKept) return trained;
    await fs.rm(out, { recursive: true, force: true });
    return { ...trained, states: null };
  } finally {
    await run.close();
    // A mistake that ended it at once leaves no empty folder; what a stopped run goes on from stays.
    if (!isKept) await fs.rmdir(out).catch(() => undefined);
  }
}

/** The run folder's options, or the defaults, with what is asked for in their place. */
async function jobOptions(request: ExitsRequest, recalled: RunOptions | null) {
  const { text, onProgress, signal } = request;
  const given = recalled ?? (await shippedText());
  // Text that is named is what exits are to learn from, unless more is said.
  const asked = { ...request.settings, data: request.settings.data ?? (text ? "calibration" : undefined) };
  const exits = mergeExitSettings(given.recipe.exits, asked);
  return {
    recipe: { ...given.recipe, exits, seed: request.seed ?? given.recipe.seed },
    exits,
    calibration: text?.map((file) => ({ path: path.resolve(file), tokens: exits.tokens })) ?? given.calibration,
    executor: request.executor ?? recalled?.executor ?? "auto",
    backend: request.backend ?? recalled?.backend ?? "auto",
    threads: request.threads ?? recalled?.threads,
    ...{ onProgress, signal },
  };
}

async function shippedText(): Promise<Pick<RunOptions, "recipe" | "calibration">> {
  const loaded = await loadRecipe(DEFAULT_RECIPE);
  return { recipe: loaded.recipe, calibration: calibrationFiles(loaded) };
}
