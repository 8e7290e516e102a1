import { setImmediate } from "node:timers/promises";
import type { IntegerNumbers } from "../../codecs/integer-numbers.ts";
import { throwIfAborted } from "../../errors.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { groupByRows } from "../../passes/rows.ts";
import { joinedFloat32 } from "../../tensor/join.ts";
import type { Random } from "../../tensor/random.ts";
import { type BlockBatch, type BlockWeight, blockGradients, blockLoss } from "./block-graph.ts";
import type { LatentMatrix } from "./latent-matrix.ts";
import type { LatentVector } from "./latent-vector.ts";
import type { LearningSettings } from "./learning-settings.ts";

/** Hidden states of one sequence before a block, and what they are to be after it: [rows, hiddenSize] each. */
export interface Example {
  readonly inputs: Float32Array;
  readonly targets: Float32Array;
}

/** What is learned of a block, each under the end of its id. */
export interface LatentBlock {
  readonly matrices: ReadonlyMap<string, LatentMatrix>;
  readonly vectors: ReadonlyMap<string, LatentVector>;
  /** The block's other weights. */
  readonly fixed: readonly BlockWeight[];
}

/** A block's learned numbers. */
interface BlockNumbers {
  readonly matrices: ReadonlyMap<string, IntegerNumbers>;
  readonly vectors: ReadonlyMap<string, Float32Array>;
}

export interface LearnOptions {
  readonly spec: DecoderSpec;
  readonly block: number;
  /** What is learned from; at least one. */
  readonly training: readonly Example[];
  /** What decides which iterate is kept; at least one. */
  readonly heldOut: readonly Example[];
  readonly settings: LearningSettings;
  readonly random: Random;
  readonly signal?: AbortSignal | undefined;
  /** After each iteration: how many are done. */
  readonly onIteration?: ((done: number) => void) | undefined;
}

/** The best numbers found, with the loss on the held-out examples of what they began as and of what they are. */
export interface Learned {
  readonly numbers: BlockNumbers;
  readonly lossBefore: number;
  readonly loss: number;
  /** Iterations of the best; 0: nothing was better than the start. */
  readonly iterations: number;
}

/**
 * Learns a block's rounding, scales and vectors by signed gradients on random pairs of sequences, at linearly falling
 * rates. The iterate of least loss on the held-out examples is kept, the start included: a block never gets worse
 * there. Throws Interrupted between iterations.
 */
export async function learnBlock(latent: LatentBlock, options: LearnOptions): Promise<Learned> {
  const { spec, block, settings, random, signal, onIteration } = options;
  const { iterations, evaluateEvery } = settings;
  const learned = latent.matrices.size + latent.vectors.size;
  const lossBefore = heldOutLoss(latent, options);
  let best: Learned = { numbers: numbersOf(latent), lossBefore, loss: lossBefore, iterations: 0 };
  const batches = new Batches(options.training, random, { tokens: settings.batchTokens, hiddenSize: spec.hiddenSize });
  for (let done = 1; done <= iterations; done++) {
    // TensorFlow.js computes without yielding: what stops the work is heard of here.
    await setImmediate();
    throwIfAborted(signal);
    const batch = batches.next();
    const { gradients } = blockGradients(spec, block, batch, weightsOf(latent), learned);
    const left = 1 - (done - 1) / iterations;
    const rates = {
      rounding: (settings.rounding * left) / iterations,
      scale: (settings.scale * left) / iterations,
      vector: (settings.vector * left) / iterations,
    };
    for (const [i, one] of [...latent.matrices.values(), ...latent.vectors.values()].entries())
      one.step(gradients[i], rates);
    if (done % evaluateEvery === 0 || done === iterations) {
      const loss = heldOutLoss(latent, options);
      if (loss < best.loss) best = { numbers: numbersOf(latent), lossBefore, loss, iterations: done };
    }
    onIteration?.(done);
  }
  return best;
}

/** Mean loss on the held-out examples, by their rows. */
function heldOutLoss(latent: LatentBlock, { spec, block, heldOut, settings, signal }: LearnOptions): number {
  let sum = 0;
  let rows = 0;
  for (const group of groupExamples(heldOut, settings.batchTokens, spec.hiddenSize)) {
    throwIfAborted(signal);
    const batch = batchOf(group, spec.hiddenSize);
    const count = batch.inputs.length / spec.hiddenSize;
    sum += blockLoss(spec, block, batch, weightsOf(latent)) * count;
    rows += count;
  }
  return sum / rows;
}

/** All weights of the block, those that are learned first: matrices, then vectors. */
function weightsOf({ matrices, vectors, fixed }: LatentBlock): BlockWeight[] {
  return [
    ...[...matrices].map(([name, { rows, cols, values }]): BlockWeight => ({ name, shape: [cols, rows], values })),
    ...[...vectors].map(([name, { values }]): BlockWeight => ({ name, shape: [values.length], values })),
    ...fixed,
  ];
}

function numbersOf({ matrices, vectors }: LatentBlock): BlockNumbers {
  return {
    matrices: new Map([...matrices].map(([name, matrix]) => [name, matrix.numbers()])),
    vectors: new Map([...vectors].map(([name, { values }]) => [name, values.slice()])),
  };
}

/** Draws examples without putting them back until all have been drawn. */
class Batches {
  private readonly examples: readonly Example[];
  private readonly random: Random;
  private readonly batch: { readonly tokens: number; readonly hiddenSize: number };
  private left: Example[][] = [];

  constructor(
    examples: readonly Example[],
    random: Random,
    batch: { readonly tokens: number; readonly hiddenSize: number },
  ) {
    this.examples = examples;
    this.random = random;
    this.batch = batch;
  }

  next(): BlockBatch {
    const { tokens, hiddenSize } = this.batch;
    if (this.left.length === 0) this.left = groupExamples(this.random.shuffle([...this.examples]), tokens, hiddenSize);
    return batchOf(this.left.splice(0, 1).flat(), hiddenSize);
  }
}

/** Consecutive examples of up to so many rows together, at least one a batch. */
function groupExamples(examples: readonly Example[], tokens: number, hiddenSize: number): Example[][] {
  return groupByRows(examples, ({ inputs }) => inputs.length / hiddenSize, tokens);
}

function batchOf(examples: readonly Example[], hiddenSize: number): BlockBatch {
  return {
    counts: examples.map(({ inputs }) => inputs.length / hiddenSize),
    inputs: joinedFloat32(examples.map(({ inputs }) => inputs)),
    targets: joinedFloat32(examples.map(({ targets }) => targets)),
  };
}
