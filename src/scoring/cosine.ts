import { z } from "zod";
import { type BlockObserver, type BlockScorer, type BlockStep, parseOptions, type ScoreFigures } from "./scorer.ts";

const CosineOptions = z.strictObject({});

/** Block influence (ShortGPT): 1 - mean over all positions of cos(block input, block output). */
export const cosine: BlockScorer = {
  kind: "blocks",
  summary: "block influence: how far a block turns its input, 1 - cos(input, output)",
  predictsLoss: false,
  defaultCalibration: { sequences: 32, sequenceTokens: 128 },
  options: CosineOptions,
  async start(context, _executor, options): Promise<BlockObserver> {
    parseOptions("cosine", CosineOptions, options);
    const distance = new CosineDistance(context.source.spec.blocks.length);
    return {
      step: (step) => distance.add(step),
      finish: (): ScoreFigures => ({ options: {}, importance: distance.means(), losses: null }),
    };
  },
};

/** Mean over positions of 1 - cos(input, output), for every block. */
export class CosineDistance {
  private readonly sums: Float64Array;
  private readonly rows: Float64Array;

  constructor(blocks: number) {
    this.sums = new Float64Array(blocks);
    this.rows = new Float64Array(blocks);
  }

  /** Adds the positions of one step. */
  async add(step: BlockStep): Promise<void> {
    const input = await step.input.data();
    const output = await step.output.data();
    const count = step.group.ids.length;
    const width = input.length / count;
    for (let row = 0; row < count; row++) {
      const from = row * width;
      this.sums[step.block] += 1 - cosineOf(input.subarray(from, from + width), output.subarray(from, from + width));
    }
    this.rows[step.block] += count;
  }

  /** One mean a block. */
  means(): number[] {
    return Array.from(this.sums, (sum, block) => sum / this.rows[block]);
  }
}

/** cos of two vectors; 1 when both are zero, 0 when one is. */
function cosineOf(a: Float32Array, b: Float32Array): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  if (aa === 0 || bb === 0) return aa === bb ? 1 : 0;
  return ab / Math.sqrt(aa * bb);
}
