import path from "node:path";
import type { GuardResult } from "../artifact/manifest.ts";
import { Plan } from "../artifact/plan.ts";
import { throwIfAborted } from "../errors.ts";
import { openMaths } from "../maths/open-maths.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { checkTokenizerFits, loadTokenizer } from "../model/tokenizer.ts";
import { readBudget } from "../planning/budget/device-file.ts";
import { loadSolverFor } from "../planning/optimal/highs-solver.ts";
import { makePlan } from "../planning/plan.ts";
import type { WorkOptions } from "../progress.ts";
import { chooseExecutor } from "../runtime/create-executor.ts";
import { Scores } from "../scoring/scores.ts";
import { TOOL_VERSION } from "../version.ts";
import { ArtifactStep, artifactInputs, packArtifact, sameArtifact } from "./artifact-step.ts";
import { CalibrationStep, calibrate, calibrationInputs } from "./calibration-step.ts";
import { checkRequest } from "./check-request.ts";
import { exitTextOf } from "./exit-text-step.ts";
import { exitsStep, type TrainedArtifactExits } from "./exits-step.ts";
import { type CodecCost, libraryStep, openLibrary, usesLibrary } from "./library-step.ts";
import { planInputs, planRequest } from "./plan-step.ts";
import { openRunFolder, type StepReport } from "./run-folder.ts";
import { type RunOptions, rememberOptions } from "./run-options.ts";
import { needsScores, scoreCheckpoint, scoreInputs } from "./score-step.ts";
import { shippedPlan } from "./shipped-plan.ts";
import { readWeights, WeightsStep, weightsInputs } from "./weights-step.ts";

/** The steps at which a run may end, in order. */
export const STAGES = ["calibrate", "score", "plan", "quantize", "exits"] as const;
export type Stage = (typeof STAGES)[number];

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

/**
 * The whole story: a checkpoint becomes an artifact that fits a byte budget. Every step leaves a file in the run folder
 * and is skipped when its inputs have not changed. Throws UserError for what the user can mend, Interrupted when stopped.
 */
export async function compress(options: CompressOptions): Promise<CompressResult> {
  const { out, recipe, signal, onStep } = options;
  const reaches = (stage: Stage) => STAGES.indexOf(options.until ?? "exits") >= STAGES.indexOf(stage);
  const budget = await readBudget(options.budget);
  const checkpoint = await openCheckpoint(options.checkpoint);
  try {
    const tokenizer = await loadTokenizer(options.checkpoint);
    checkTokenizerFits(tokenizer, checkpoint.spec);
    const request = planRequest(checkpoint, options, budget);
    checkRequest(options, request, reaches("plan") ? budget.bytes : null);
    throwIfAborted(signal);

    const { kind: executor } = await chooseExecutor({ executor: options.executor, backend: options.backend });
    using maths = await openMaths(options);
    const run = await openRunFolder(out, { toolVersion: TOOL_VERSION, onStep, signal });
    try {
      await rememberOptions(out, options);
      const weights = await run.step("weights", WeightsStep, await weightsInputs(checkpoint), () =>
        readWeights(checkpoint, options),
      );
      const source = weights.value.checkpointId;

      const calibration =
        needsScores(recipe) || usesLibrary(recipe)
          ? await run.step(
              "calibration",
              CalibrationStep,
              await calibrationInputs(tokenizer, checkpoint.spec, options),
              () => calibrate(tokenizer, checkpoint.spec, options),
            )
          : null;
      const work = calibration && { checkpoint, source, calibration: calibration.value, request, options, maths, out };
      const named = (step: string) => (options.device === undefined ? step : `${step}-${options.device}`);

      const library = work && usesLibrary(recipe) && reaches("score") ? await libraryStep(run, work) : null;

      const scoring = calibration && scoreInputs(source, calibration.value.id, request, { recipe, executor });
      const scores =
        work && scoring && needsScores(recipe) && reaches("score")
          ? await run.step("scores", Scores, scoring, (step) =>
              scoreCheckpoint(checkpoint, {
                ...{ ...work, step, library: library && openLibrary(work), inputs: scoring, runFolder: out },
              }),
            )
          : null;

      const plan = reaches("plan")
        ? await run.step(named("plan"), Plan, planInputs(source, scores?.key, request, budget), async () =>
            makePlan(
              { ...request, scores: scores?.value ?? null, budgetBytes: budget.bytes },
              await loadSolverFor(recipe.plan.allocator),
            ),
          )
        : null;

      const shipped =
        plan && reaches("quantize")
          ? await shippedPlan(
              run,
              plan,
              library && work ? { work, library, scores: scores?.value ?? null, named } : null,
            )
          : null;

      const folder = path.join(out, named("artifact"));
      const artifact = shipped
        ? await run.step(
            named("artifact"),
            ArtifactStep,
            await artifactInputs(source, shipped.key, tokenizer, recipe),
            ({ key }) =>
              packArtifact({
                ...{ checkpoint, weights: weights.value, tokenizer, calibration: calibration?.value ?? null },
                ...{ shipped, folder, key, options, maths },
              }),
            { check: (done) => sameArtifact(folder, done) },
          )
        : null;

      const exits =
        artifact && recipe.exits && reaches("exits")
          ? await exitsStep(run, {
              ...{ folder, settings: recipe.exits, seed: recipe.seed, options, named },
              source: exitTextOf({
                tokenizer,
                spec: checkpoint.spec,
                options,
                calibration: calibration?.value ?? null,
              }),
            })
          : null;

      return {
        runFolder: out,
        artifact: artifact && folder,
        scores: scores?.value ?? null,
        plan: shipped?.plan ?? plan?.value ?? null,
        library: library?.value.codecs ?? null,
        guard: shipped?.guard ?? null,
        exits,
        budget: budget.explanation,
        budgetBytes: budget.bytes,
        unusedTensors: checkpoint.unused,
      };
    } finally {
      await run.close();
    }
  } finally {
    await checkpoint.close();
  }
}
