import path from "node:path";
import type { SafetensorsFile } from "../../formats/safetensors/reader.ts";
import { type TensorPiece, writeSafetensors } from "../../formats/safetensors/writer.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { type ExitShape, exitFileLayout } from "../../model/exit-bytes.ts";
import { f32ToF16Array } from "../../tensor/half.ts";
import { badArtifact } from "../artifact-error.ts";
import { readChecked } from "../header-check.ts";
import { EXITS_NAME } from "../manifest.ts";

/**
 * The numbers of one exit. Those of matrices are f16 numbers: what a trainer gives is rounded to them before it is
 * calibrated.
 */
export interface ExitWeights {
  /** [hiddenSize], of a norm of the final norm's kind and epsilon; null for `shared`, which has nothing. */
  readonly norm: Float32Array | null;
  /** [hiddenSize]; null unless the final norm is a layer norm. */
  readonly normBias: Float32Array | null;
  /**
   * [hiddenSize + 1]: weight, then bias, of the logit for all ids that the head does not score; null for the full
   * vocabulary.
   */
  readonly tail: Float32Array | null;
  /** [rank, hiddenSize]; null for `linear`. */
  readonly down: Float32Array | null;
  /** [hiddenSize, rank]; null for `linear`. */
  readonly up: Float32Array | null;
  /** [ids, hiddenSize]; null for an adapter. */
  readonly matrix: Float32Array | null;
}

/** What `exits.safetensors` holds. */
export interface ExitsContents {
  /** Ids that every head scores, rising, in the order of its logits; null for the full vocabulary. */
  readonly ids: Int32Array | null;
  /** One an exit, in the table's order. */
  readonly exits: readonly ExitWeights[];
}

/** The tensors of an exit by the ends of their names in the file. */
const PARTS = { norm: "norm", normBias: "norm_bias", tail: "tail", down: "down", up: "up", matrix: "matrix" } as const;

/**
 * Writes an exits file, complete or not at all; the same contents give the same bytes. Throws where they are not of
 * that shape, or hold a number or an id that reading would refuse: a bug of whoever made them.
 */
export async function writeExitsFile(
  file: string,
  spec: DecoderSpec,
  shape: ExitShape,
  contents: ExitsContents,
): Promise<void> {
  const pieces = piecesOf(spec, shape, contents);
  await writeSafetensors(file, exitFileLayout(spec, shape), pieces);
}

/** All tensors as bytes, in the file's order. */
function piecesOf(spec: DecoderSpec, shape: ExitShape, { ids, exits }: ExitsContents): TensorPiece[] {
  const given = new Map<string, Int32Array | Float32Array>(ids ? [["exits.ids", ids]] : []);
  for (const [i, exit] of exits.entries()) {
    for (const [field, numbers] of fieldsOf(exit)) given.set(`exits.${i}.${PARTS[field]}`, numbers);
  }
  const layout = exitFileLayout(spec, shape);
  const extra = [...given.keys()].find((name) => !layout.tensors.has(name));
  if (extra !== undefined) throw new Error(`${EXITS_NAME}: tensor ${extra} is not of this shape`);
  return [...layout.tensors.values()].map(({ name, dtype, shape: dims }) => {
    const numbers = given.get(name);
    const length = dims.reduce((product, n) => product * n, 1);
    if (numbers?.length !== length) {
      throw new Error(`${EXITS_NAME}: tensor ${name}: expected ${length} numbers, found ${numbers?.length ?? "none"}`);
    }
    const stored = dtype === "F16" && numbers instanceof Float32Array ? f32ToF16Array(numbers) : numbers;
    const fault =
      numbers instanceof Int32Array
        ? idFault(numbers, spec.vocabSize)
        : numberFault(numbers, stored.byteLength < 4 * length);
    if (fault) throw new Error(`${EXITS_NAME}: tensor ${name}: ${fault}`);
    return { name, bytes: new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength) };
  });
}

function fieldsOf(exit: ExitWeights): [keyof typeof PARTS, Float32Array][] {
  const { norm, normBias, tail, down, up, matrix } = exit;
  const all: [keyof typeof PARTS, Float32Array | null][] = [
    ["norm", norm],
    ["normBias", normBias],
    ["tail", tail],
    ["down", down],
    ["up", up],
    ["matrix", matrix],
  ];
  return all.flatMap(([field, numbers]): [keyof typeof PARTS, Float32Array][] => (numbers ? [[field, numbers]] : []));
}

/**
 * Reads a folder's `exits.safetensors` and checks header, ids and numbers. Throws UserError, naming the tensor, for ids
 * outside the vocabulary or not rising and for numbers that are not finite.
 */
export async function readExitsFile(folder: string, spec: DecoderSpec, shape: ExitShape): Promise<ExitsContents> {
  return readChecked(path.join(folder, EXITS_NAME), exitFileLayout(spec, shape), async (file) => {
    const ids = shape.vocabulary === "full" ? null : await readIds(file, spec);
    const exits: ExitWeights[] = [];
    for (const i of shape.exits.keys()) exits.push(await readExit(file, i));
    return { ids, exits };
  });
}

async function readIds(file: SafetensorsFile, { vocabSize }: DecoderSpec): Promise<Int32Array> {
  const bytes = await file.readBytes("exits.ids");
  const ids = new Int32Array(bytes.slice().buffer);
  const fault = idFault(ids, vocabSize);
  if (fault) throw badArtifact(file.label, `tensor exits.ids: ${fault}`);
  return ids;
}

async function readExit(file: SafetensorsFile, exit: number): Promise<ExitWeights> {
  const read = async (part: string): Promise<Float32Array | null> => {
    const name = `exits.${exit}.${part}`;
    if (!file.tensors.has(name)) return null;
    const numbers = await file.readF32(name);
    const fault = numberFault(numbers, false);
    if (fault) throw badArtifact(file.label, `tensor ${name}: ${fault}`);
    return numbers;
  };
  return {
    norm: await read(PARTS.norm),
    normBias: await read(PARTS.normBias),
    tail: await read(PARTS.tail),
    down: await read(PARTS.down),
    up: await read(PARTS.up),
    matrix: await read(PARTS.matrix),
  };
}

/**
 * What is wrong with a list of ids; null where nothing is. Rising: of equal logits the lowest id wins, as in the whole
 * vocabulary.
 */
function idFault(ids: Int32Array, vocabSize: number): string | null {
  for (const [i, id] of ids.entries()) {
    if (id < 0 || id >= vocabSize) return `${i}: expected an id below ${vocabSize}, found ${id}`;
    if (i > 0 && id <= ids[i - 1]) return `${i}: expected rising ids, found ${id} after ${ids[i - 1]}`;
  }
  return null;
}

/** From here on rounding to f16 gives infinity: half a step beyond its largest number, 65504. */
const F16_OVERFLOW = 65520;

/** What is wrong with numbers; null where nothing is. `narrow`: they are to be stored as f16. */
function numberFault(numbers: Float32Array, narrow: boolean): string | null {
  const limit = narrow ? F16_OVERFLOW : Number.POSITIVE_INFINITY;
  const at = numbers.findIndex((x) => !(Math.abs(x) < limit));
  return at < 0 ? null : `${at}: expected a finite ${narrow ? "f16 " : ""}number, found ${numbers[at]}`;
}
