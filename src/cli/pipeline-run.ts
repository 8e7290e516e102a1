import path from "node:path";
import { UserError } from "../errors.ts";
import type { CompressResult } from "../pipeline/compress-result.ts";
import type { StepReport } from "../pipeline/run-folder.ts";
import type { RunOptions } from "../pipeline/run-options.ts";
import type { TrainedArtifactExits } from "../pipeline/steps/exits.ts";
import type { StepName } from "../pipeline/steps/index.ts";
import type { Tuned } from "../pipeline/steps/tune.ts";
import type { Terminal } from "./terminal.ts";
import { codecCostText, guardPrediction, guardText } from "./text/guard-text.ts";
import { formatDuration } from "./text/number-text.ts";
import { pruningText } from "./text/pruning-text.ts";

/** Runs the pipeline up to a step and prints what it produced; a step that was there already is said to be. */
export async function runPipeline(
  out: string,
  options: RunOptions,
  until: StepName,
  terminal: Terminal,
): Promise<void> {
  terminal.document(await runOnce(out, options, { until }, terminal));
}

/** An artifact for each device profile in one run folder: what they share (scores, packed matrices) is made once. */
export async function runForDevices(
  out: string,
  runs: readonly { readonly device: string; readonly options: RunOptions }[],
  terminal: Terminal,
): Promise<void> {
  const named = runs.map(({ device, options }) => ({ name: folderName(device), device, options }));
  for (const { name, device } of named) {
    const others = named.filter((other) => other.name === name);
    if (others.length > 1) throw sameName(name, device, others.length);
  }
  // What the last device cannot hold is said before the first one's hours.
  const { checkRun } = await import("../pipeline/check-request.ts");
  for (const { options } of named) await checkRun(options);
  const documents: Awaited<ReturnType<typeof runOnce>>[] = [];
  for (const { name, device, options } of named) {
    terminal.note(`layerwise: for ${device}`);
    documents.push(await runOnce(out, options, { until: undefined, device: name }, terminal));
  }
  terminal.document({ devices: documents });
}

/** What a device's files of the run folder are called by: `artifact-<name>`. */
function folderName(device: string): string {
  return path
    .basename(device)
    .replace(/\.ya?ml$/i, "")
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-");
}

function sameName(name: string, device: string, count: number): UserError {
  return new UserError(
    "USAGE",
    `--device ${device}: expected a name of its own, found ${count} devices whose artifact would be artifact-${name}`,
    "rename the device's file",
  );
}

async function runOnce(
  out: string,
  options: RunOptions,
  { until, device }: { readonly until: StepName | undefined; readonly device?: string },
  terminal: Terminal,
) {
  const { compress } = await import("../pipeline/compress.ts");
  const steps: StepReport[] = [];
  const onStep = (step: StepReport) => {
    steps.push(step);
    terminal.note(`layerwise: ${stepText(step)}`);
  };
  const { signal, onProgress } = terminal;
  const result = await compress({ ...options, out, until, device, signal, onProgress, onStep });
  const scored = steps.some(({ name, cached }) => name === "scores" && !cached);
  const executor = scored ? await executorUsed(options) : null;
  if (result.unusedTensors.length > 0) {
    terminal.note(`layerwise: tensors that the model does not use: ${result.unusedTensors.join(", ")}`);
  }
  for (const remark of result.tokenizerRemarks) terminal.note(`layerwise: ${remark}`);
  if (steps.some(({ name, cached }) => name === "library" && !cached)) {
    for (const cost of result.library ?? []) terminal.note(`layerwise: ${codecCostText(cost)}`);
  }
  if (result.kvNote) terminal.note(`layerwise: ${result.kvNote}`);
  terminal.note(`layerwise: ${result.budget}`);
  terminal.print(await resultText(result, terminal));
  return { ...result, checkpoint: options.checkpoint, steps, ...(executor ? { executor } : {}) };
}

/** It has run already: this only asks which it is. */
async function executorUsed({ executor, backend, threads }: RunOptions) {
  const { describeExecutor } = await import("../runtime/describe-executor.ts");
  const { isas: _, nativeMissing: __, ...info } = await describeExecutor({ executor, backend, threads });
  return { ...info, activations: "f32", residency: "streamed" };
}

/** One line about a step: already there, or how long it took and why. */
export function stepText({ name, cached, note, elapsedMs }: StepReport): string {
  const why = note === null ? "" : ` (${note})`;
  return cached ? `${name}: already there` : `${name}: done in ${formatDuration(elapsedMs)}${why}`;
}

async function exitLines(exits: TrainedArtifactExits, terminal: Terminal): Promise<string> {
  const { exitTrainingText } = await import("./text/exit-training-text.ts");
  return exitTrainingText(exits, terminal.colours);
}

async function tuningLines({ losses }: Tuned, terminal: Terminal): Promise<string> {
  const { lossesText } = await import("./text/tuning-text.ts");
  return lossesText(losses, terminal.colours);
}

async function resultText(result: CompressResult, terminal: Terminal): Promise<string> {
  if (result.plan) {
    const { planText } = await import("./text/plan-text.ts");
    const text = planText(result.plan, result.scores?.importance ?? null, terminal.colours);
    const pruning = result.pruning ? `\n${pruningText(result.pruning)}` : "";
    const predicted = guardPrediction(result.plan, result.pruning);
    const guard = result.guard ? `\n${guardText(result.guard, predicted)}` : "";
    const tuning = result.tuning ? `\n\n${await tuningLines(result.tuning, terminal)}` : "";
    const exits = result.exits ? `\n\n${await exitLines(result.exits, terminal)}` : "";
    return result.artifact ? `${text}${pruning}${guard}${tuning}${exits}\nartifact: ${result.artifact}` : text;
  }
  if (result.scores) {
    const { scoresText } = await import("./text/scores-text.ts");
    return scoresText(result.scores, terminal.colours);
  }
  return `run folder: ${result.runFolder}`;
}
