import * as tf from "@tensorflow/tfjs-core";
import type { DecoderSpec, RopeSpec } from "../../model/decoder-spec.ts";
import { type RopeRegime, ropeRegime, ropeTable } from "../../model/rope.ts";
import type { RopeRows, SequenceRows } from "./decoder.ts";
import { TensorSet } from "./tensor-set.ts";

/** The rotary embeddings of a model, equal ones found once: blocks are rarely unlike in this. */
export function distinctRopes(spec: DecoderSpec): (string | null)[] {
  return spec.blocks.map(({ attention }) => (attention?.rope ? JSON.stringify(attention.rope) : null));
}

/** Cosines and sines of the rows of one pass, made when the first block with that embedding asks for them. */
export class PassRopes {
  private readonly spec: DecoderSpec;
  private readonly keys: readonly (string | null)[];
  private readonly sequences: readonly SequenceRows[];
  private readonly made = new Map<string, RopeRows>();
  private readonly tensors = new TensorSet();

  constructor(spec: DecoderSpec, keys: readonly (string | null)[], sequences: readonly SequenceRows[]) {
    this.spec = spec;
    this.keys = keys;
    this.sequences = sequences;
  }

  /** The block's, or null where it has none. */
  of(block: number): RopeRows | null {
    const rope = this.spec.blocks[block].attention?.rope;
    const key = this.keys[block];
    if (!rope || key === null) return null;
    const known = this.made.get(key);
    if (known) return known;
    const rows = ropeRows(rope, this.sequences, (sequence) => regimeOf(rope, sequence, block));
    this.tensors.add(rows.cos);
    this.tensors.add(rows.sin);
    this.made.set(key, rows);
    return rows;
  }

  dispose(): void {
    this.tensors.dispose();
  }
}

/** A sequence without a cache is whole: its own length decides. */
function regimeOf(rope: RopeSpec, { cache, position, count }: SequenceRows, block: number): RopeRegime {
  return cache ? cache.regime(block) : ropeRegime(rope, position + count);
}

/** Tables over all rotated channels: [cos, cos] and [-sin, sin], so that a rotation is x cos + swapped x sin. */
export function ropeRows(
  rope: RopeSpec,
  sequences: readonly SequenceRows[],
  regime: (sequence: SequenceRows) => RopeRegime,
): RopeRows {
  const { dims } = rope;
  const pairs = dims / 2;
  const rows = sequences.reduce((sum, { count }) => sum + count, 0);
  const cos = new Float32Array(rows * dims);
  const sin = new Float32Array(rows * dims);
  let first = 0;
  for (const sequence of sequences) {
    const positions = Int32Array.from({ length: sequence.count }, (_, i) => sequence.position + i);
    const table = ropeTable(rope, positions, regime(sequence));
    for (let i = 0; i < table.cos.length; i++) {
      const at = (first + Math.floor(i / pairs)) * dims + (i % pairs);
      cos[at] = table.cos[i];
      cos[at + pairs] = table.cos[i];
      sin[at] = -table.sin[i];
      sin[at + pairs] = table.sin[i];
    }
    first += sequence.count;
  }
  return { cos: tf.tensor3d(cos, [rows, 1, dims]), sin: tf.tensor3d(sin, [rows, 1, dims]) };
}
