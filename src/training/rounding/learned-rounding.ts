import { type DescentState, openStatisticsDescent, type StatisticsDescent } from "../../calibration/statistics.ts";
import { CODECS } from "../../codecs/index.ts";
import { unpackNumbers } from "../../codecs/integer-numbers.ts";
import { levelFormOf } from "../../maths/level-form.ts";
import { matricesOf, vectorsOf } from "../../model/decoder-spec.ts";
import { blockName, idOf, partsOf } from "../../model/matrix-id.ts";
import { denseMatrix, type PackedMatrix } from "../../model/weight-source.ts";
import type { BackendOptions } from "../../runtime/tfjs/backend.ts";
import { openTrainingBackend } from "../../runtime/tfjs/backend.ts";
import { Random } from "../../tensor/random.ts";
import type { BlockWeight } from "./block-graph.ts";
import type { BlockRefiner, RefinedBlock, RefinerInputs } from "./block-refiner.ts";
import { LatentMatrix } from "./latent-matrix.ts";
import { LatentVector } from "./latent-vector.ts";
import { type Example, type LatentBlock, type Learned, learnBlock } from "./learn-block.ts";
import type { LearningSettings } from "./learning-settings.ts";

/** Wider codes leave nothing to learn: a step of theirs is smaller than what the other matrices do. */
const MOST_BITS = 6;
/** Of so many sequences one is held out to choose the iterate by. */
const HELD_OUT_SHARE = 8;

export interface LearnedRoundingOptions extends RefinerInputs, BackendOptions {
  readonly settings: LearningSettings;
  readonly seed: number;
  /** What became of each block. */
  readonly onBlock?: ((block: number, learned: Learned) => void) | undefined;
}

/**
 * Opens learned rounding (AutoRound, arXiv 2309.05516): each block's output on the states that the quantized blocks
 * before it produce is drawn to what the original model has there, by gradients through the block on TensorFlow.js. The
 * same backend, version and threads give the same bytes. Holds the original model's states of all sequences beside
 * those of the caller's descent.
 */
export async function openLearnedRounding(options: LearnedRoundingOptions): Promise<BlockRefiner> {
  await openTrainingBackend(options);
  const { source, sequences, createExecutor, maths, signal } = options;
  const original = await openStatisticsDescent({
    ...{ source, sequences, createExecutor, maths, signal },
    keepOutputs: false,
  });
  return new Rounding(options, original);
}

class Rounding implements BlockRefiner {
  private readonly options: LearnedRoundingOptions;
  private readonly original: StatisticsDescent;

  constructor(options: LearnedRoundingOptions, original: StatisticsDescent) {
    this.options = options;
    this.original = original;
  }

  async refine(
    block: number,
    packed: ReadonlyMap<string, PackedMatrix>,
    states: readonly DescentState[],
  ): Promise<RefinedBlock> {
    const { source, settings, seed, signal, onBlock } = this.options;
    this.report(block, 0);
    while (this.original.at <= block) await this.original.advance();
    const latent = await this.latentOf(block, packed);
    if (latent.matrices.size === 0) return { matrices: new Map(), vectors: new Map() };
    const examples = examplesOf(states, this.original.states, source.spec.hiddenSize);
    const heldOut = Math.max(1, Math.floor(examples.length / HELD_OUT_SHARE));
    const learned = await learnBlock(latent, {
      ...{ spec: source.spec, block, settings, signal, random: new Random(seed).fork(blockName(block)) },
      // A single sequence is both.
      training: examples.length > 1 ? examples.slice(0, -heldOut) : examples,
      heldOut: examples.slice(-heldOut),
      onIteration: (done) => this.report(block, done),
    });
    onBlock?.(block, learned);
    return storedBlock(block, packed, learned);
  }

  close(): Promise<void> {
    return this.original.close();
  }

  /** The block's weights as they are learned. */
  private async latentOf(block: number, packed: ReadonlyMap<string, PackedMatrix>): Promise<LatentBlock> {
    const { source } = this.options;
    const matrices = new Map<string, LatentMatrix>();
    const fixed: BlockWeight[] = [];
    for (const { id, role } of matricesOf(source.spec).filter((matrix) => matrix.block === block)) {
      const matrix = packed.get(id);
      if (!matrix) throw new Error(`rounding: ${id} is not packed`);
      const { codec: name, rows, cols } = matrix;
      const codec = CODECS[name];
      // What a sparse codec stores is not chosen anew: its matrices stay.
      if (codec.scheme === "float" || codec.bits > MOST_BITS || codec.kept) {
        fixed.push({ name: role, shape: [cols, rows], values: codec.unpackTransposed(matrix, 0, rows) });
        continue;
      }
      const original = denseMatrix(await source.readMatrix(id));
      const numbers = unpackNumbers(codec, matrix, 0, rows);
      matrices.set(role, new LatentMatrix({ numbers, original, form: levelFormOf(codec), group: codec.group ?? 0 }));
    }
    const vectors = new Map<string, LatentVector>();
    for (const { id } of vectorsOf(source.spec).filter((vector) => vector.block === block)) {
      vectors.set(endOf(id), new LatentVector(await source.readVector(id)));
    }
    return { matrices, vectors, fixed };
  }

  private report(block: number, done: number): void {
    const { settings, source, onProgress } = this.options;
    const { iterations } = settings;
    const total = source.spec.blocks.length * iterations;
    const detail = `block ${block}: iteration ${done} of ${iterations}`;
    onProgress?.({ stage: "learning rounding", done: block * iterations + done, total, detail });
  }
}

/** Sequence by sequence: states before the block, and the original model's after it. */
function examplesOf(before: readonly DescentState[], after: readonly DescentState[], hiddenSize: number): Example[] {
  return before.flatMap(({ hidden, spans }, i) => {
    let at = 0;
    return spans.map(({ count }): Example => {
      const [from, to] = [at, at + count * hiddenSize];
      at = to;
      return { inputs: hidden.subarray(from, to), targets: after[i].hidden.subarray(from, to) };
    });
  });
}

function storedBlock(block: number, packed: ReadonlyMap<string, PackedMatrix>, { numbers }: Learned): RefinedBlock {
  const matrices = new Map<string, PackedMatrix>();
  for (const [id, matrix] of packed) {
    const found = numbers.matrices.get(endOf(id));
    if (found) matrices.set(id, { ...matrix, bytes: CODECS[matrix.codec].pack(found) });
  }
  return {
    matrices,
    vectors: new Map([...numbers.vectors].map(([name, values]) => [idOf(block, name), values])),
  };
}

/** An id without the block that it is of. */
function endOf(id: string): string {
  const parts = partsOf(id);
  if (!parts) throw new Error(`rounding: ${id} is of no block`);
  return parts.part;
}
