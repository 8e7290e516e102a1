import path from "node:path";
import { Plan } from "../artifact/plan.ts";
import { throwIfAborted } from "../errors.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { checkTokenizerFits, loadTokenizer } from "../model/tokenizer.ts";
import { readBudget } from "../planning/device-file.ts";
import { createPlanner } from "../planning/planner.ts";
import { Scores } from "../scoring/scores.ts";
import { TOOL_VERSION } from "../version.ts";
import { ArtifactStep, packArtifact } from "./artifact-step.ts";
import { CalibrationStep, calibrate, calibrationInputs, restoreCalibration } from "./calibration-step.ts";
import { type CompressOptions, type CompressResult, rememberOptions, STAGES, type Stage } from "./compress-options.ts";
import { checkFeasible, planRequest } from "./plan-step.ts";
import { openRunFolder } from "./run-folder.ts";
import { needsScores, scoreCheckpoint, scoreInputs } from "./score-step.ts";
import { checkAllWeights, WeightsStep } from "./weights-step.ts";

/**
 * The whole story: a checkpoint becomes an artifact that fits a byte budget. Every step leaves a file in the run folder
 * and is skipped when its inputs have not changed. Throws UserError for what the user can mend, Interrupted when stopped.
 */
export async function compress(options: CompressOptions): Promise<CompressResult> {
  const { out, recipe, signal, onProgress, onStep } = options;
  const reaches = (stage: Stage) => STAGES.indexOf(options.until ?? "quantize") >= STAGES.indexOf(stage);
  const budget = await readBudget(options.budget);
  const checkpoint = await openCheckpoint(options.checkpoint);
  try {
    const tokenizer = await loadTokenizer(options.checkpoint);
    checkTokenizerFits(tokenizer, checkpoint.spec);
    const request = planRequest(checkpoint, options, budget);
    // An impossible budget is refused from the headers alone, before anything that takes long.
    checkFeasible(request, budget.bytes);
    throwIfAborted(signal);

    const run = await openRunFolder(out, { toolVersion: TOOL_VERSION, onStep, signal });
    try {
      await rememberOptions(out, options);
      const work = { onProgress, signal };
      const source = checkpoint.id;

      const weights = await run.step("weights", WeightsStep, { source }, () => checkAllWeights(checkpoint, work));
      const ranked = needsScores(recipe);
      const calibration = ranked
        ? await run.step("calibration", CalibrationStep, await calibrationInputs(tokenizer, options), () =>
            calibrate(tokenizer, options, work),
          )
        : null;
      const tokens = calibration && restoreCalibration(calibration.value);
      const scores =
        tokens && reaches("score")
          ? await run.step("scores", Scores, scoreInputs(request, recipe, [weights.key, calibration?.key]), (step) =>
              scoreCheckpoint(checkpoint, tokens, request, { ...options, step }),
            )
          : null;
      const plan = reaches("plan")
        ? await run.step(
            "plan",
            Plan,
            { source, scores: scores?.key ?? null, request: { ...request, spec: null }, budgetBytes: budget.bytes },
            async () => createPlanner({ ...request, scores: scores?.value ?? null }).plan(budget.bytes),
          )
        : null;
      const folder = path.join(out, "artifact");
      const artifact =
        plan && reaches("quantize")
          ? await run.step(
              "artifact",
              ArtifactStep,
              { source, plan: plan.key, quantize: recipe.quantize, tokenizer: tokenizer.files },
              (step) => packArtifact({ checkpoint, tokenizer, plan: plan.value, scores, calibration: tokens, folder, options, step }),
              { check: (done) => done.check(folder) },
            )
          : null;
      return {
        runFolder: out,
        artifact: artifact && folder,
        scores: scores?.value ?? null,
        plan: plan?.value ?? null,
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
