import type { CompressResult, RunOptions, Stage } from "../pipeline/compress-options.ts";
import type { StepReport } from "../pipeline/run-folder.ts";
import { formatDuration } from "./number-text.ts";
import type { Terminal } from "./terminal.ts";

/** Runs the pipeline up to a stage and prints what it produced; a step that was there already is said to be. */
export async function runPipeline(out: string, options: RunOptions, until: Stage, terminal: Terminal): Promise<void> {
  const { compress } = await import("../pipeline/compress.ts");
  const steps: StepReport[] = [];
  const onStep = (step: StepReport) => {
    steps.push(step);
    terminal.note(`layerwise: ${stepText(step)}`);
  };
  const { signal, onProgress } = terminal;
  const result = await compress({ ...options, out, until, signal, onProgress, onStep });
  const scored = steps.some(({ name, cached }) => name === "scores" && !cached);
  const executor = scored ? await executorUsed(options) : null;
  terminal.document({ ...result, checkpoint: options.checkpoint, steps, ...(executor ? { executor } : {}) });
  if (result.unusedTensors.length > 0) {
    terminal.note(`layerwise: tensors that the model does not use: ${result.unusedTensors.join(", ")}`);
  }
  terminal.note(`layerwise: ${result.budget}`);
  terminal.print(await resultText(result, terminal));
}

/** It has run already: this only asks which it is. */
async function executorUsed({ executor, backend, threads }: RunOptions) {
  const { describeExecutor } = await import("../runtime/describe-executor.ts");
  const {
    isas: _,
    nativeMissing: __,
    ...info
  } = await describeExecutor({ executor, backend, threads: threads ?? undefined });
  return { ...info, activations: "f32", residency: "streamed" };
}

function stepText({ name, cached, note, elapsedMs }: StepReport): string {
  const why = note === null ? "" : ` (${note})`;
  return cached ? `${name}: already there` : `${name}: done in ${formatDuration(elapsedMs)}${why}`;
}

async function resultText(result: CompressResult, terminal: Terminal): Promise<string> {
  if (result.plan) {
    const { planText } = await import("./plan-text.ts");
    const text = planText(result.plan, result.scores?.importance ?? null, terminal.colours);
    return result.artifact ? `${text}\nartifact: ${result.artifact}` : text;
  }
  if (result.scores) {
    const { scoresText } = await import("./scores-text.ts");
    return scoresText(result.scores, terminal.colours);
  }
  return `run folder: ${result.runFolder}`;
}
