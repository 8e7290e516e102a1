import { throwIfAborted } from "../errors.ts";
import { sizeOfFile } from "../formats/files.ts";
import { openMaths } from "../maths/open-maths.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { mergedSource } from "../model/merged-source.ts";
import { loadTokenizer } from "../model/tokenizer.ts";
import { readBudget } from "../planning/budget/device-file.ts";
import type { WorkOptions } from "../progress.ts";
import { chooseExecutor } from "../runtime/create-executor.ts";
import { wantsNativeMaths } from "../runtime/executors.ts";
import { TOOL_VERSION } from "../version.ts";
import { checkRequest } from "./check-request.ts";
import { Job } from "./job.ts";
import { planRequest } from "./plan-request.ts";
import { usesCalibration } from "./recipe.ts";
import { readRunAdapter } from "./run-adapter.ts";
import { openRunFolder, type StepReport } from "./run-folder.ts";
import { type RunOptions, rememberOptions } from "./run-options.ts";

/** What a job on a checkpoint is asked to do, and where. */
export interface CheckpointJob extends WorkOptions, RunOptions {
  /** The run folder. */
  readonly out: string;
  /**
   * One of several devices that share this run folder: its plan and artifact are kept under this name
   * (`artifact-<device>`).
   */
  readonly device?: string | undefined;
  readonly onStep?: ((report: StepReport) => void) | undefined;
}

/**
 * Opens all that a job on a checkpoint needs, for as long as `use` takes. What cannot work is refused before anything
 * that takes long; a budget only where the job `plans`. Throws UserError, or Interrupted when stopped.
 */
export async function withJob<T>(
  options: CheckpointJob,
  { plans }: { readonly plans: boolean },
  use: (job: Job) => Promise<T>,
): Promise<T> {
  const { out, device, signal, onStep } = options;
  const budget = await readBudget(options.budget);
  // Texts are read after the weights, which may take minutes.
  if (usesCalibration(options.recipe)) {
    for (const { path } of options.calibration) await sizeOfFile(path);
  }
  for (const file of options.recipe.tune?.data ?? []) await sizeOfFile(file);
  const checkpoint = await openCheckpoint(options.checkpoint);
  try {
    const { spec } = checkpoint;
    const tokenizer = await loadTokenizer(options.checkpoint, { spec });
    const request = planRequest(checkpoint, options, budget);
    checkRequest(options, request, plans ? budget.bytes : null);
    const adapter = options.adapter === undefined ? null : await readRunAdapter(options.adapter, spec);
    const source = adapter ? mergedSource(checkpoint, adapter.parts) : checkpoint;
    throwIfAborted(signal);

    const { kind: executor } = await chooseExecutor({ executor: options.executor, backend: options.backend });
    using maths = await openMaths({ native: wantsNativeMaths(options.executor), threads: options.threads });
    const run = await openRunFolder(out, { toolVersion: TOOL_VERSION, onStep, signal });
    try {
      await rememberOptions(out, options);
      const origin = { checkpoint, adapter, source, request, budget, executor, maths };
      return await use(new Job({ run, options, spec, tokenizer, device, origin }));
    } finally {
      await run.close();
    }
  } finally {
    await checkpoint.close();
  }
}
