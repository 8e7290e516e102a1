import { z } from "zod";
import { blockName } from "../model/matrix-id.ts";
import { runNumbers } from "../passes/run-rows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { sourceAt } from "./rounded-source.ts";
import {
  type BlockObserver,
  type BlockScorer,
  type BlockStep,
  parseOptions,
  type ScoreFigures,
  type ScorerContext,
} from "./scorer.ts";
import type { Losses } from "./scores.ts";

const OutputMseOptions = z.strictObject({});

/** Sums over all positions and channels of one block at one codec. */
interface ErrorSums {
  /** |D|^2, D = rounded output - output */
  difference: number;
  /** |output|^2 */
  output: number;
  /** |output - input|^2 */
  change: number;
  values: number;
}

/**
 * Relative output error of a block at each candidate codec: |D|^2 / |output|^2, the block run on the full-precision
 * input (EDGE-LLM's LUC, arXiv 2406.15758, divided by the output's power). `details`: mse and |D|^2 / |output -
 * input|^2.
 */
export const outputMse: BlockScorer = {
  kind: "blocks",
  summary: "relative error of a block's output with its matrices at each candidate codec",
  predictsLoss: true,
  defaultCalibration: { sequences: 32, sequenceTokens: 128 },
  options: OutputMseOptions,
  async start(context, _executor, options): Promise<BlockObserver> {
    parseOptions("output-mse", OutputMseOptions, options);
    return observe(context, await roundedExecutors(context));
  },
};

async function roundedExecutors(context: ScorerContext): Promise<Map<string, AnyExecutor>> {
  const executors = new Map<string, AnyExecutor>();
  for (const codec of context.codecs) {
    executors.set(codec, await context.createExecutor(sourceAt(context.source, context.matrices, codec)));
  }
  return executors;
}

function observe(context: ScorerContext, executors: ReadonlyMap<string, AnyExecutor>): BlockObserver {
  const blocks = context.source.spec.blocks.map(
    () => new Map(context.codecs.map((codec): [string, ErrorSums] => [codec, zeroSums()])),
  );
  return {
    async step(step) {
      for (const [codec, executor] of executors) {
        const sums = blocks[step.block].get(codec);
        if (sums) addErrors(sums, await runRounded(executor, step), await step.input.data(), await step.output.data());
      }
    },
    finish: () => figures(blocks, context.codecs),
    async close() {
      for (const executor of executors.values()) await executor.dispose();
    },
  };
}

function zeroSums(): ErrorSums {
  return { difference: 0, output: 0, change: 0, values: 0 };
}

/** The block's output, [rows, hiddenSize], with rounded matrices on the same input. */
async function runRounded(executor: AnyExecutor, step: BlockStep): Promise<Float32Array> {
  const data = await step.input.data();
  return runNumbers(executor, { data, spans: step.group.spans }, [step.block, step.block + 1]);
}

function addErrors(sums: ErrorSums, rounded: Float32Array, input: Float32Array, output: Float32Array): void {
  for (let i = 0; i < output.length; i++) {
    sums.difference += (rounded[i] - output[i]) ** 2;
    sums.output += output[i] * output[i];
    sums.change += (output[i] - input[i]) ** 2;
  }
  sums.values += output.length;
}

function figures(blocks: readonly ReadonlyMap<string, ErrorSums>[], codecs: readonly string[]): ScoreFigures {
  const losses: Losses = {};
  const details: NonNullable<ScoreFigures["details"]> = {};
  blocks.forEach((byCodec, block) => {
    const unit = blockName(block);
    losses[unit] = {};
    details[unit] = {};
    for (const [codec, sums] of byCodec) {
      losses[unit][codec] = ratio(sums.difference, sums.output);
      details[unit][codec] = {
        mse: ratio(sums.difference, sums.values),
        relDelta: ratio(sums.difference, sums.change),
      };
    }
  });
  return { options: { codecs: [...codecs] }, importance: null, losses, details };
}

/** a / b, 0 when nothing differs. */
function ratio(a: number, b: number): number {
  return a === 0 ? 0 : a / b;
}
