import { promises as fs } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { checkExitBudget } from "../artifact/exits/add.ts";
import { readManifest } from "../artifact/reader.ts";
import { findModel } from "../decoding/find-model.ts";
import { UserError } from "../errors.ts";
import { parseWith, readJsonFile } from "../formats/files.ts";
import { loadTokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { TOOL_VERSION } from "../version.ts";
import { CalibrationStep, checkSequenceTokens } from "./calibration-step.ts";
import { ExitSettings, exitShapeOf } from "./exit-settings.ts";
import { checkExitTokens, type ExitTextSource, exitTextOf } from "./exit-text-step.ts";
import { exitsStep, type TrainedArtifactExits } from "./exits-step.ts";
import { calibrationFiles, loadRecipe } from "./recipe.ts";
import { openRunFolder, type StepReport } from "./run-folder.ts";
import { type RunOptions, recallOptions } from "./run-options.ts";

/** The recipe whose text and settings serve where no run folder has any. */
const DEFAULT_RECIPE = "dssd";

/** What is asked for in place of what the run folder's recipe says. */
export interface ExitsRequest extends WorkOptions {
  /** Fields of the recipe's `exits`. */
  readonly settings: Partial<Record<keyof ExitSettings, unknown>>;
  /** Text files; null: those of the run folder, or that ship. */
  readonly text: readonly string[] | null;
  readonly seed: number | null;
  /** Keeps the steps and the states; null: the run folder, or a folder beside the artifact that is removed in the end. */
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
 * Trains early exits for an artifact that exists, in place of any that it has: for one of a run folder with that folder's text and memory, for
 * any other with text that is named or ships. Throws UserError for what the user can mend (before anything that takes long: exits that
 * the model is too small for, or its budget), Interrupted when stopped; the same call goes on.
 */
export async function exitsOfArtifact(target: string, request: ExitsRequest): Promise<ExitsOfArtifact> {
  const place = await findPlace(target);
  const { folder, run: runFolder } = place;
  const { executor, backend, threads, onStep, signal, onProgress } = request;
  const recalled = runFolder === null ? null : await recallOptions(runFolder);
  const { recipe, calibration } = recalled ?? (await shippedText());
  const settings = mergeSettings(recipe.exits, request);
  const manifest = await readManifest(folder);
  const source = await textSource(place, request, { recipe, calibration });
  const exits = exitShapeOf(settings, manifest.spec);
  checkSequenceTokens(recipe, manifest.spec);
  checkExitTokens(settings, { files: source.files.length, sequenceTokens: source.sequenceTokens });
  if (!request.overBudget) checkExitBudget(manifest, exits, folder);
  const out = request.work ?? runFolder ?? `${path.resolve(folder)}.exits-work`;
  const isKept = request.work !== null || runFolder !== null;
  const run = await openRunFolder(out, { toolVersion: TOOL_VERSION, onStep, signal });
  try {
    const trained = await exitsStep(run, {
      ...{ folder, settings, seed: request.seed ?? recipe.seed, source, overBudget: request.overBudget },
      named: (step) => (place.device === null ? step : `${step}-${place.device}`),
      options: {
        executor: executor ?? recalled?.executor ?? "auto",
        backend: backend ?? recalled?.backend ?? "auto",
        threads: threads ?? recalled?.threads,
        ...{ onProgress, signal },
      },
    });
    if (isKept) return { ...trained, artifact: folder };
    await fs.rm(out, { recursive: true, force: true });
    return { ...trained, artifact: folder, states: null };
  } finally {
    await run.close();
    // A mistake that ended it at once leaves no empty folder; what a stopped run goes on from stays.
    if (!isKept) await fs.rmdir(out).catch(() => undefined);
  }
}

/** Where an artifact lies. */
interface Place {
  readonly folder: string;
  /** The run folder that made it; null: none. */
  readonly run: string | null;
  /** Its name among several of that run; null: the only one. */
  readonly device: string | null;
}

const ARTIFACT_NAME = /^artifact(?:-([a-z0-9-]+))?$/;

async function findPlace(target: string): Promise<Place> {
  const { kind, folder } = await findModel(target);
  if (kind === "checkpoint") {
    throw new UserError(
      "EXITS_CHECKPOINT",
      `${target}: expected an artifact or a run folder, found a checkpoint`,
      "exits are trained on the packed model: layerwise compress makes it, with --recipe dssd with exits at once",
    );
  }
  const name = ARTIFACT_NAME.exec(path.basename(path.resolve(folder)));
  const parent = path.dirname(path.resolve(folder));
  if (!name || !(await isRunFolder(parent))) return { folder, run: null, device: null };
  return { folder, run: parent, device: name[1] ?? null };
}

async function isRunFolder(folder: string): Promise<boolean> {
  try {
    await recallOptions(folder);
    return true;
  } catch (error) {
    if (error instanceof UserError && error.code === "NOT_A_RUN_FOLDER") return false;
    throw error;
  }
}

async function shippedText(): Promise<Pick<RunOptions, "recipe" | "calibration">> {
  const loaded = await loadRecipe(DEFAULT_RECIPE);
  return { recipe: loaded.recipe, calibration: calibrationFiles(loaded) };
}

/** The recipe's settings with other fields; a choice of points, kind or text drops what only went with the old one. */
function mergeSettings(
  recipe: ExitSettings | undefined,
  { settings: asked, text }: Pick<ExitsRequest, "settings" | "text">,
): ExitSettings {
  const { count, rank, after, ...others } = recipe ?? ExitSettings.parse({});
  const keepsCount = asked.after === undefined || !Array.isArray(asked.after);
  const merged = {
    ...others,
    // Text that is named is what exits are to learn from, unless more is said.
    ...(text ? { data: "calibration" } : {}),
    // A number of exits stands against points of the recipe, not beside them.
    after: Array.isArray(after) && asked.count !== undefined ? "even" : after,
    count: keepsCount ? count : undefined,
    rank: (asked.kind ?? others.kind) === "adapter" ? rank : undefined,
    ...Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined)),
  };
  return parseWith(ExitSettings, merged, "exits");
}

/** Text as asked for; the guard's sequences of a run are left out of it. */
async function textSource(
  { folder, run }: Place,
  { text }: ExitsRequest,
  options: Pick<RunOptions, "recipe" | "calibration">,
): Promise<ExitTextSource> {
  const tokenizer = await loadTokenizer(folder);
  const { spec } = await readManifest(folder);
  const calibration = run === null ? null : await savedCalibration(run);
  const found = exitTextOf({ tokenizer, spec, options, calibration });
  return text ? { ...found, files: text.map((file) => path.resolve(file)) } : found;
}

/** The calibration of a run folder; null where it has none. */
async function savedCalibration(run: string): Promise<CalibrationStep | null> {
  try {
    return (await readJsonFile(path.join(run, "calibration.json"), z.object({ value: CalibrationStep }))).value;
  } catch (error) {
    if (error instanceof UserError && error.code === "FILE_NOT_FOUND") return null;
    throw error;
  }
}
