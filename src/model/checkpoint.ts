import { createHash } from "node:crypto";
import { UserError } from "../errors.ts";
import type { FileMark } from "../formats/file-mark.ts";
import { type Dtype, type SafetensorsFile, showName } from "../formats/safetensors/index.ts";
import type { ModelDescription } from "./architectures/architecture.ts";
import { describeModel } from "./architectures/index.ts";
import { type CheckpointFolder, readCheckpointFolder } from "./checkpoint-folder.ts";
import {
  locateParameters,
  openShards,
  type StoredParameter,
  type TensorTable,
  unusedTensors,
} from "./checkpoint-tensors.ts";
import type { DecoderSpec } from "./decoder-spec.ts";
import { refuseForeignTensors } from "./foreign-tensors.ts";
import { settleTwice } from "./stored-twice.ts";
import type { DenseMatrix, WeightSource } from "./weight-source.ts";

export interface CheckpointOptions {
  /** Refuse NaN and infinity in what is read. True by default. */
  readonly checkFinite?: boolean;
}

/** Tensors and bytes of one element type. */
export interface DtypeUse {
  readonly tensors: number;
  readonly bytes: number;
}

interface CheckpointParts {
  readonly folder: CheckpointFolder;
  readonly table: TensorTable;
  readonly description: ModelDescription;
  readonly parameters: ReadonlyMap<string, StoredParameter>;
  readonly unused: readonly string[];
  readonly notes: readonly string[];
  readonly id: string;
  readonly checkFinite: boolean;
}

/** A Hugging Face checkpoint, opened: headers in memory, weights read from disk when asked for, in f32. Close it. */
export class Checkpoint implements WeightSource {
  readonly spec: DecoderSpec;
  /** The folder. */
  readonly label: string;
  /** sha256 of config.json and of every shard's header: names the checkpoint in scores and provenance. */
  readonly id: string;
  /** The weights files, as they were when they were opened. */
  readonly files: readonly FileMark[];
  /** Bytes of the tensors that the model uses, as they are stored. */
  readonly weightBytes: number;
  /** Element types of the tensors that the model uses. */
  readonly dtypes: ReadonlyMap<Dtype, DtypeUse>;
  /** Tensors that are neither needed nor known to mean nothing, sorted. */
  readonly unused: readonly string[];
  /** Where the weights say otherwise than config.json and are followed, a sentence each. */
  readonly notes: readonly string[];
  readonly configJson: unknown;
  private readonly parameters: ReadonlyMap<string, StoredParameter>;
  private readonly open: readonly SafetensorsFile[];
  private readonly checkFinite: boolean;

  constructor(parts: CheckpointParts) {
    this.spec = parts.description.spec;
    this.label = parts.folder.folder;
    this.id = parts.id;
    this.files = parts.table.files.flatMap(({ mark }) => mark ?? []);
    this.dtypes = countDtypes(parts.parameters.values());
    this.weightBytes = [...this.dtypes.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    this.unused = parts.unused;
    this.notes = parts.notes;
    this.configJson = parts.folder.configJson;
    this.parameters = parts.parameters;
    this.open = parts.table.files;
    this.checkFinite = parts.checkFinite;
  }

  /** Where a parameter lies; an unknown id is a bug. */
  locate(id: string): StoredParameter {
    const parameter = this.parameters.get(id);
    if (!parameter) throw new Error(`${this.label}: the model has no parameter ${id}`);
    return parameter;
  }

  /** Element type that a parameter is stored in. */
  storedDtype(id: string): Dtype {
    return this.locate(id).info.dtype;
  }

  /** The weights files themselves. */
  get shards(): readonly SafetensorsFile[] {
    return this.open;
  }

  async readMatrix(id: string): Promise<DenseMatrix> {
    const parameter = this.locate(id);
    const rows = parameterRows(parameter);
    return { kind: "dense", rows, cols: rowElements(parameter), data: await this.read(parameter, 0, rows) };
  }

  async readRows(id: string, from: number, to: number): Promise<Float32Array> {
    return this.read(this.locate(id), from, to);
  }

  async readVector(id: string): Promise<Float32Array> {
    const parameter = this.locate(id);
    return this.read(parameter, 0, parameterRows(parameter));
  }

  async close(): Promise<void> {
    await Promise.all(this.open.map((file) => file.close()));
  }

  /** Rows [from, to) of the parameter, gathered from the stored rows that make it up. */
  private async read(parameter: StoredParameter, from: number, to: number): Promise<Float32Array> {
    const { file, info, offset } = parameter;
    const rows = parameterRows(parameter);
    if (!(from >= 0 && from <= to && to <= rows)) throw new RangeError(`rows [${from}, ${to}) of ${rows}`);
    const cols = rowElements(parameter);
    const out = new Float32Array((to - from) * cols);
    for (const [start, end, at] of storedRanges(parameter, from, to)) {
      const part = out.subarray((at - from) * cols, (at - from + end - start) * cols);
      await file.readF32(info.name, start * cols, end * cols, part);
    }
    if (this.checkFinite) {
      const bad = countNonFinite(out);
      if (bad > 0) throw nonFinite(parameter, bad, out.length);
    }
    if (offset !== 0) for (let i = 0; i < out.length; i++) out[i] += offset;
    return out;
  }
}

/** Rows of the parameter; elements for a vector. */
function parameterRows({ info, rowRanges }: StoredParameter): number {
  if (rowRanges === null) return info.shape[0];
  return rowRanges.reduce((sum, [from, to]) => sum + to - from, 0);
}

function rowElements({ info }: StoredParameter): number {
  return info.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
}

/**
 * Stored rows [start, end) that hold rows [from, to) of the parameter, each with the parameter row that it starts at.
 */
function* storedRanges(parameter: StoredParameter, from: number, to: number): Generator<[number, number, number]> {
  let at = 0;
  for (const [start, end] of parameter.rowRanges ?? [[0, parameter.info.shape[0]]]) {
    const first = Math.max(from, at);
    const last = Math.min(to, at + end - start);
    if (first < last) yield [start + first - at, start + last - at, first];
    at += end - start;
  }
}

/** NaN and infinite values. */
export function countNonFinite(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let count = 0;
  for (let i = 0; i < bits.length; i++) if ((bits[i] & 0x7f800000) === 0x7f800000) count++;
  return count;
}

/** The error for NaN or infinite weights: names tensor and count. */
export function nonFinite({ file, info }: StoredParameter, count: number, of: number): UserError {
  return new UserError(
    "NON_FINITE_WEIGHTS",
    `${file.label}: tensor ${showName(info.name)}: expected finite values, found ${count} NaN or infinite of ${of}`,
    "the checkpoint is damaged: download it again or take another",
  );
}

function countDtypes(parameters: Iterable<StoredParameter>): Map<Dtype, DtypeUse> {
  const uses = new Map<Dtype, DtypeUse>();
  for (const { dtype, begin, end } of new Set([...parameters].map(({ info }) => info))) {
    const use = uses.get(dtype) ?? { tensors: 0, bytes: 0 };
    uses.set(dtype, { tensors: use.tensors + 1, bytes: use.bytes + end - begin });
  }
  return uses;
}

async function checkpointId(folder: CheckpointFolder, table: TensorTable): Promise<string> {
  const hash = createHash("sha256").update(folder.configBytes);
  for (const file of table.files) hash.update(await file.readHeader());
  return hash.digest("hex");
}

/**
 * Opens a checkpoint's folder: reads config.json and the shards' headers, and weights only where one is stored twice. A
 * UserError, one line, for everything that is wrong with it: see readCheckpointFolder, describeModel, openSafetensors,
 * refuseForeignTensors, settleTwice, locateParameters and unusedTensors.
 */
export async function openCheckpoint(folderPath: string, options: CheckpointOptions = {}): Promise<Checkpoint> {
  const folder = await readCheckpointFolder(folderPath);
  const described = describeModel(folder.configJson, folderPath);
  const table = await openShards(folder);
  try {
    refuseForeignTensors(table.tensors.keys(), folderPath);
    const { description, notes } = await settleTwice(described, table, folderPath);
    const parameters = locateParameters(description, table, folder);
    const unused = unusedTensors(description, table, folderPath);
    const id = await checkpointId(folder, table);
    const checkFinite = options.checkFinite ?? true;
    return new Checkpoint({ folder, table, description, parameters, unused, notes, id, checkFinite });
  } catch (error) {
    await Promise.all(table.files.map((file) => file.close()));
    throw error;
  }
}
