import type { ExitsContents, ExitWeights } from "../../../src/artifact/exits/file.ts";
import type { ExitTable } from "../../../src/artifact/exits/table.ts";
import type { DecoderSpec } from "../../../src/model/decoder-spec.ts";
import { type ExitShape, exitIds, exitTensorBytes } from "../../../src/model/exit-bytes.ts";
import { roundToF16 } from "../../../src/tensor/half.ts";
import { Random } from "../../../src/tensor/random.ts";

/** Two exits of the tiny model: an adapter and a head of its own, over 30 of 83 ids. */
export const TINY_SHAPE: ExitShape = {
  exits: [
    { kind: "adapter", rank: 4 },
    { kind: "linear", rank: null },
  ],
  vocabulary: { ids: 30 },
};

/** A table of such exits after 1, 2, … blocks, with thresholds and a report that could be. */
export function tinyTable(spec: DecoderSpec, shape: ExitShape = TINY_SHAPE): ExitTable {
  const level = (epsilon: number, thresholds: (number | null)[]) => ({
    epsilon,
    thresholds,
    report: {
      tokens: 1000,
      coverage: 0.4,
      agreement: epsilon,
      agreementError: 0.02,
      meanBlocks: 3.25,
      exits: thresholds.map((threshold) => ({
        coverage: threshold === null ? 0 : 0.2,
        agreement: threshold === null ? null : epsilon,
      })),
    },
  });
  return {
    exits: shape.exits.map(({ kind, rank }, i) => ({
      ...{ blocks: i + 1, kind, rank, bytes: exitTensorBytes(spec, shape, i) },
    })),
    confidence: "entropy",
    vocabulary: shape.vocabulary,
    levels: [
      level(
        0.8,
        shape.exits.map((_, i) => 1.5 + i),
      ),
      level(
        0.95,
        shape.exits.map((_, i) => (i === 0 ? null : 0.25)),
      ),
    ],
    training: { tokens: { train: 4000, stop: 500, calibrate: 500, report: 1000 }, seed: 3, backend: "test 1" },
  };
}

/** Their numbers: multiples of 7 modulo the vocabulary as ids, and drawn f16 numbers. */
export function tinyContents(spec: DecoderSpec, shape: ExitShape = TINY_SHAPE): ExitsContents {
  const { hiddenSize, vocabSize } = spec;
  const ids = exitIds(spec, shape);
  const random = new Random(11);
  const draw = (length: number) => Float32Array.from({ length }, () => roundToF16(random.next() - 0.5));
  const isSubset = shape.vocabulary !== "full";
  return {
    ids: isSubset ? Int32Array.from({ length: ids }, (_, i) => (7 * (i + 1)) % vocabSize).sort() : null,
    exits: shape.exits.map(
      ({ kind, rank }): ExitWeights => ({
        norm: kind === "shared" ? null : draw(hiddenSize),
        normBias: kind !== "shared" && spec.finalNorm.kind === "layer" ? draw(hiddenSize) : null,
        tail: isSubset ? draw(hiddenSize + 1) : null,
        down: rank === null ? null : draw(rank * hiddenSize),
        up: rank === null ? null : draw(hiddenSize * rank),
        matrix: kind === "linear" ? draw(ids * hiddenSize) : null,
      }),
    ),
  };
}
