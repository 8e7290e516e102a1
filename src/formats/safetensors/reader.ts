import { UserError } from "../../errors.ts";
import { type ByteSource, foreignSource, openFile } from "../byte-source.ts";
import type { FileMark } from "../file-mark.ts";
import { decodeF32, isDecodable } from "./decode.ts";
import { DTYPES } from "./dtypes.ts";
import {
  badSafetensors,
  headerLength,
  parseHeader,
  type SafetensorsHeader,
  showName,
  type TensorInfo,
} from "./header.ts";
import { LENGTH_BYTES, MAX_READ_BYTES } from "./limits.ts";

/** An open safetensors file: header in memory, data read where asked for. Close it. */
export class SafetensorsFile {
  /** File name, for messages. */
  readonly label: string;
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string> | null;
  /** Bytes of the JSON header, without the 8 bytes of its length. */
  readonly headerBytes: number;
  /** Where the data starts in the file: 8 + headerBytes. */
  readonly dataOffset: number;
  /** Bytes of the whole file. */
  readonly byteLength: number;
  /** As the file was when it was opened; null for bytes in memory. */
  readonly mark: FileMark | null;
  private readonly source: ByteSource;

  constructor(source: ByteSource, headerBytes: number, header: SafetensorsHeader) {
    this.source = source;
    this.label = source.label;
    this.byteLength = source.byteLength;
    this.mark = source.mark;
    this.headerBytes = headerBytes;
    this.dataOffset = LENGTH_BYTES + headerBytes;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
  }

  /** The tensor's entry; a UserError `MISSING_TENSOR` if the file has none of that name. */
  tensor(name: string): TensorInfo {
    const info = this.tensors.get(name);
    if (!info) throw new UserError("MISSING_TENSOR", `${this.label}: no tensor ${showName(name)}`);
    return info;
  }

  /** First byte of the tensor in the file. */
  fileOffset(name: string): number {
    return this.dataOffset + this.tensor(name).begin;
  }

  /** The file's first bytes as they are: length field and JSON header, read anew. */
  readHeader(): Promise<Uint8Array> {
    return this.source.read(0, this.dataOffset);
  }

  /** Bytes [from, to) of a tensor, the whole tensor by default. */
  async readBytes(name: string, from = 0, to?: number): Promise<Uint8Array> {
    const { begin, end } = this.tensor(name);
    const stop = to ?? end - begin;
    checkPart(name, from, stop, end - begin);
    return this.source.read(this.dataOffset + begin + from, stop - from);
  }

  /**
   * Elements [from, to) of a tensor in f32, row-major, the whole tensor by default; into `out` (same length) where
   * given. Reads at most 16 MiB at a time. A UserError for C64 and the sub-byte types.
   */
  async readF32(name: string, from = 0, to?: number, out?: Float32Array): Promise<Float32Array> {
    const { dtype, begin, end } = this.tensor(name);
    if (!isDecodable(dtype)) {
      throw new UserError("BAD_DTYPE", `${this.label}: tensor ${showName(name)}: values of ${dtype} cannot be read`);
    }
    const elementBytes = DTYPES[dtype].bits / 8;
    const stop = to ?? (end - begin) / elementBytes;
    checkPart(name, from, stop, (end - begin) / elementBytes);
    const numbers = out ?? new Float32Array(stop - from);
    if (numbers.length !== stop - from) {
      throw new RangeError(`output has ${numbers.length} elements, not ${stop - from}`);
    }
    const step = MAX_READ_BYTES / elementBytes;
    const buffer = new Uint8Array(Math.min(stop - from, step) * elementBytes);
    for (let at = from; at < stop; at += step) {
      const count = Math.min(step, stop - at);
      const position = this.dataOffset + begin + at * elementBytes;
      const bytes = await this.source.read(position, count * elementBytes, buffer);
      decodeF32(dtype, bytes, numbers.subarray(at - from, at - from + count));
    }
    return numbers;
  }

  async close(): Promise<void> {
    await this.source.close();
  }
}

function checkPart(name: string, from: number, to: number, length: number): void {
  if (Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= length) return;
  throw new RangeError(`part [${from}, ${to}) of tensor ${showName(name)} of ${length}`);
}

async function readFileHeader(source: ByteSource): Promise<SafetensorsFile> {
  if (source.byteLength < LENGTH_BYTES) {
    throw badSafetensors(source.label, `expected at least ${LENGTH_BYTES} bytes, found ${source.byteLength}`);
  }
  const headerBytes = headerLength(await source.read(0, LENGTH_BYTES), source.byteLength, source.label);
  const json = await source.read(LENGTH_BYTES, headerBytes);
  const header = parseHeader(json, source.byteLength - LENGTH_BYTES - headerBytes, source.label);
  return new SafetensorsFile(source, headerBytes, header);
}

/**
 * Reads the header of an open file, never its data. A UserError if it cannot be read or breaks any rule of the format,
 * `FOREIGN_FILE` where it is another kind of file. The source stays open when that fails.
 */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsFile> {
  try {
    return await readFileHeader(source);
  } catch (error) {
    throw (await foreignSource(source, "safetensors")) ?? error;
  }
}

/** Opens a file and reads its header. A source handed in is closed with the file, and also when opening fails. */
export async function openSafetensors(pathOrSource: string | ByteSource): Promise<SafetensorsFile> {
  const source = typeof pathOrSource === "string" ? await openFile(pathOrSource) : pathOrSource;
  try {
    return await readSafetensors(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}
