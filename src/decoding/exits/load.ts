import { type ExitWeights, readExitsFile } from "../../artifact/exits/file.ts";
import type { ExitTable } from "../../artifact/exits/table.ts";
import type { Artifact } from "../../artifact/reader.ts";
import { CODECS } from "../../codecs/index.ts";
import { type DecoderSpec, headMatrixId } from "../../model/decoder-spec.ts";
import { gatherRows } from "../../model/gather-rows.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import type { DenseMatrix, Matrix, PackedMatrix, WeightSource } from "../../model/weight-source.ts";
import { aligned } from "../../native/aligned.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { ExitHead } from "../../runtime/heads.ts";
import { exitHeadName } from "./exit-set.ts";

/** The rows of the output head that adapters over the same ids share. */
export interface SharedRows {
  /** [ids, hiddenSize], bit by bit those of the output head; of a full vocabulary the output head itself. */
  readonly matrix: Matrix;
  /** [ids]; null where the output head has no bias. Linear exits add it too. */
  readonly bias: Float32Array | null;
}

/** An artifact's exits as an executor takes them. */
export interface LoadedExits {
  readonly table: ExitTable;
  /** One an exit, in the table's order; null where the output head serves. */
  readonly heads: readonly (ExitHead | null)[];
  /** Ids that the heads' logits stand for; null: id i is logit i. */
  readonly ids: Int32Array | null;
}

/** Reads an artifact's exits; null where it has none. Throws UserError for a damaged exits file. */
export async function readExits(artifact: Artifact): Promise<LoadedExits | null> {
  const { spec, manifest } = artifact;
  const table = manifest.exits;
  if (!table) return null;
  const { ids, exits } = await readExitsFile(artifact.label, spec, table);
  const rows = await sharedRows(artifact, ids);
  return { table, ids, heads: exits.map(({ norm, ...own }) => norm && exitHeadOf(spec, { norm, ...own }, rows)) };
}

/** Makes exits known to an executor under their names, which are given back in order. */
export async function loadExits(executor: AnyExecutor, { table, heads }: LoadedExits): Promise<string[]> {
  const names = table.exits.map(({ blocks, kind }) => exitHeadName(blocks, kind));
  for (const [i, head] of heads.entries()) if (head) await executor.loadHead(names[i], head);
  return names;
}

/** The output head's rows of some ids (null: all), held once for all exits. */
export async function sharedRows(source: WeightSource, ids: Int32Array | null): Promise<SharedRows> {
  const { spec } = source;
  const matrix = await source.readMatrix(headMatrixId(spec));
  const { headBias: bias } = await readOutputVectors(source);
  if (!ids) return { matrix, bias };
  const rows = gatherRows(matrix, ids);
  return {
    // Where the engine can use the bytes in place, it makes no copy for each exit.
    matrix: rows.kind === "packed" ? { ...rows, bytes: aligned(rows.bytes) } : rows,
    bias: bias && Float32Array.from(ids, (id) => bias[id]),
  };
}

/**
 * One exit as an executor takes it: what trainers calibrate is this very head. Adapters are computed in f32; a linear
 * exit's matrix is packed as the f16 numbers that it has in the file.
 */
export function exitHeadOf(
  spec: DecoderSpec,
  weights: ExitWeights & { readonly norm: Float32Array },
  { matrix, bias }: SharedRows,
): ExitHead {
  const { norm, normBias, tail, down, up } = weights;
  const { hiddenSize, finalNorm } = spec;
  const rank = down ? down.length / hiddenSize : 0;
  return {
    norm: { spec: finalNorm, weight: norm, bias: normBias },
    adapter: down && up && { rank, down: dense(rank, hiddenSize, down), up: dense(hiddenSize, rank, up) },
    matrix: weights.matrix ? halves(weights.matrix, hiddenSize) : matrix,
    bias,
    tail: tail && { weight: tail.slice(0, hiddenSize), bias: tail[hiddenSize] },
  };
}

function dense(rows: number, cols: number, data: Float32Array): DenseMatrix {
  return { kind: "dense", rows, cols, data };
}

/** values: [rows, cols], f16 numbers. */
function halves(values: Float32Array, cols: number): PackedMatrix {
  const rows = values.length / cols;
  const bytes = aligned(CODECS.f16.pack({ kind: "float", rows, cols, values }));
  return { kind: "packed", codec: "f16", rows, cols, bytes };
}
