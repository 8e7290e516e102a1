import type { ByteSource } from "../../../src/formats/byte-source.ts";
import { openFile } from "../../../src/formats/byte-source.ts";
import { blockValues, decodeBlocks, isBlockType } from "../../../src/formats/gguf/blocks.ts";
import type { GgufTensorPlace } from "../../../src/formats/gguf/layout.ts";
import {
  ALIGNMENT_KEY,
  DEFAULT_ALIGNMENT,
  GGUF_MAGIC,
  GGUF_VERSION,
  type GgufMetadata,
  type GgufValue,
} from "../../../src/formats/gguf/metadata.ts";
import { bf16ToF32Array, f16ToF32Array } from "../../../src/tensor/half.ts";
import { badGguf, HeaderReader } from "./header-reader.ts";
import { readBlocks } from "./k-blocks.ts";
import { type GgufStoredType, isGgufReadType, storedTensorBytes, tensorTypeOf } from "./stored-types.ts";

/** Most tensors and metadata values of a file that is read: the largest models known have some 2,000 tensors. */
const MAX_ENTRIES = 100_000;

/** A tensor of a file that is read, and where it lies; its type may be one that is not written. */
interface GgufStoredTensor extends Omit<GgufTensorPlace, "type"> {
  readonly type: GgufStoredType;
}

/** An open GGUF file: header in memory, tensors read when asked for. Close it. */
export interface GgufFile {
  readonly label: string;
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, GgufStoredTensor>;
  /** A tensor as it is stored. */
  readBytes(name: string): Promise<Uint8Array>;
  /** A tensor in f32, row after row. */
  readValues(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens and checks a file's header. Throws UserError `BAD_GGUF`, naming what is wrong, or as `openFile` does. */
export async function openGguf(file: string): Promise<GgufFile> {
  const source = await openFile(file);
  try {
    return await readGguf(source);
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** {@link openGguf} of bytes that are open already; closing the file closes them. */
export async function readGguf(source: ByteSource): Promise<GgufFile> {
  const header = new HeaderReader(source);
  const magic = await header.number("uint32");
  if (magic !== GGUF_MAGIC) throw badGguf(source, `first bytes: expected GGUF, found 0x${magic.toString(16)}`);
  const version = await header.number("uint32");
  if (version !== GGUF_VERSION && version !== 2) throw badGguf(source, `version: expected 2 or 3, found ${version}`);
  const tensorCount = await header.count("number of tensors", MAX_ENTRIES);
  const valueCount = await header.count("number of metadata values", MAX_ENTRIES);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < valueCount; i++) metadata.set(await header.string(), await header.value());
  const infos: TensorInfo[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push(await readInfo(header));
  const tensors = placesOf(source, infos, header.position, alignmentOf(source, metadata));
  const place = (name: string) => {
    const found = tensors.get(name);
    if (!found) throw new Error(`${source.label}: no tensor ${name}`);
    return found;
  };
  const readBytes = async (name: string) => source.read(place(name).offset, place(name).bytes);
  return {
    label: source.label,
    metadata,
    tensors,
    readBytes,
    readValues: async (name) => valuesOf(place(name), await readBytes(name)),
    close: () => source.close(),
  };
}

interface TensorInfo {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly typeId: number;
  readonly offset: number;
}

async function readInfo(header: HeaderReader): Promise<TensorInfo> {
  const name = await header.string();
  const dimensions = await header.number("uint32");
  if (dimensions < 1 || dimensions > 2) {
    throw badGguf(header.source, `tensor ${name}: expected 1 or 2 dimensions, found ${dimensions}`);
  }
  const sizes: number[] = [];
  for (let i = 0; i < dimensions; i++) sizes.push(await header.count(`tensor ${name}: size`, 2 ** 31));
  const typeId = await header.number("uint32");
  return { name, sizes, typeId, offset: await header.count(`tensor ${name}: offset`, Number.MAX_SAFE_INTEGER) };
}

function placesOf(source: ByteSource, infos: readonly TensorInfo[], headerBytes: number, alignment: number) {
  const start = Math.ceil(headerBytes / alignment) * alignment;
  const places = new Map<string, GgufStoredTensor>();
  for (const { name, sizes, typeId, offset } of infos) {
    const what = `tensor ${name}`;
    const type = tensorTypeOf(typeId);
    if (!type) throw badGguf(source, `${what}: type: expected one of those that are read, found number ${typeId}`);
    const [cols, rows = null] = sizes;
    const bytes = storedTensorBytes(type, rows ?? 1, cols);
    if (bytes === null) throw badGguf(source, `${what}: columns: expected whole blocks of ${type}, found ${cols}`);
    if (offset % alignment !== 0)
      throw badGguf(source, `${what}: offset: expected a multiple of ${alignment}, found ${offset}`);
    if (start + offset + bytes > source.byteLength) {
      throw badGguf(
        source,
        `${what}: expected ${start + offset + bytes} bytes in the file, found ${source.byteLength}`,
      );
    }
    if (places.has(name)) throw badGguf(source, `${what}: expected once, found twice`);
    places.set(name, { name, type, rows, cols, bytes, offset: start + offset });
  }
  return places;
}

function alignmentOf(source: ByteSource, metadata: GgufMetadata): number {
  const found = metadata.get(ALIGNMENT_KEY);
  if (!found) return DEFAULT_ALIGNMENT;
  const { value } = found;
  if (found.kind === "uint32" && typeof value === "number" && value >= 8 && value % 8 === 0) return value;
  throw badGguf(
    source,
    `${ALIGNMENT_KEY}: expected a multiple of 8 as uint32, found ${String(value)} as ${found.kind}`,
  );
}

function valuesOf({ type, rows, cols }: GgufStoredTensor, bytes: Uint8Array): Float32Array {
  if (isGgufReadType(type)) return readBlocks(type, bytes);
  if (isBlockType(type)) return blockValues(type, decodeBlocks(type, bytes));
  const count = (rows ?? 1) * cols;
  const own = bytes.slice();
  if (type === "F32") return new Float32Array(own.buffer);
  const halves = new Uint16Array(own.buffer);
  const values = new Float32Array(count);
  return type === "F16" ? f16ToF32Array(halves, values) : bf16ToF32Array(halves, values);
}
