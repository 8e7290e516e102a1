import { type Dtype, tensorBytes } from "./dtypes.ts";
import { showName, showShape, type TensorInfo } from "./header.ts";
import { LENGTH_BYTES, MAX_HEADER_BYTES } from "./limits.ts";

/** Alignment of the data where none is asked for: what the reference writes. */
const DEFAULT_DATA_ALIGN = 8;

/** A tensor to be written. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

export interface LayoutOptions {
  /** Written as `__metadata__`, in the given order. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The data starts at a multiple of this many bytes of the file; a multiple of 8. */
  readonly dataAlign?: number;
}

/** A file before its data: every byte of the header and the place of every tensor. */
export interface SafetensorsLayout {
  /** Length field, JSON and padding spaces: the file's first `dataOffset` bytes. */
  readonly header: Uint8Array;
  readonly dataOffset: number;
  /** In file order, which is the order given. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Bytes of the whole file. */
  readonly totalBytes: number;
}

function checkText(text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw new Error(`${showName(text)} has a lone surrogate: not Unicode text`);
}

function placeTensors(entries: readonly SafetensorsEntry[]): Map<string, TensorInfo> {
  const tensors = new Map<string, TensorInfo>();
  let at = 0;
  for (const { name, dtype, shape } of entries) {
    checkText(name);
    if (name === "__metadata__" || tensors.has(name)) throw new Error(`tensor name ${showName(name)} is taken`);
    const valid = shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0);
    const bytes = valid ? tensorBytes(dtype, shape) : null;
    if (bytes === null)
      throw new Error(`tensor ${showName(name)}: ${dtype} ${showShape(shape)} is no whole number of bytes`);
    tensors.set(name, { name, dtype, shape: [...shape], begin: at, end: at + bytes });
    at += bytes;
  }
  return tensors;
}

function headerJson(tensors: ReadonlyMap<string, TensorInfo>, metadata: LayoutOptions["metadata"]): string {
  const members: string[] = [];
  const add = (key: string, value: unknown) => members.push(`${JSON.stringify(key)}:${JSON.stringify(value)}`);
  if (metadata) {
    for (const text of Object.entries(metadata).flat()) checkText(text);
    add("__metadata__", metadata);
  }
  for (const { name, dtype, shape, begin, end } of tensors.values())
    add(name, { dtype, shape, data_offsets: [begin, end] });
  return `{${members.join(",")}}`;
}

/**
 * Lays out a file: tensors one after the other in the given order, without gaps, as the format demands. Pure. Throws a
 * plain Error for names given twice, shapes that make no whole number of bytes, and headers beyond the format's limit.
 */
export function layoutSafetensors(
  entries: readonly SafetensorsEntry[],
  options: LayoutOptions = {},
): SafetensorsLayout {
  const align = options.dataAlign ?? DEFAULT_DATA_ALIGN;
  if (!Number.isSafeInteger(align) || align <= 0 || align % DEFAULT_DATA_ALIGN !== 0) {
    throw new Error(`data alignment ${align} is not a multiple of ${DEFAULT_DATA_ALIGN}`);
  }
  const tensors = placeTensors(entries);
  const json = new TextEncoder().encode(headerJson(tensors, options.metadata));
  const dataOffset = Math.ceil((LENGTH_BYTES + json.length) / align) * align;
  if (dataOffset - LENGTH_BYTES > MAX_HEADER_BYTES) throw new Error(`header of ${dataOffset} bytes`);
  const header = new Uint8Array(dataOffset).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(dataOffset - LENGTH_BYTES), true);
  header.set(json, LENGTH_BYTES);
  const dataBytes = [...tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0);
  return { header, dataOffset, tensors, totalBytes: dataOffset + dataBytes };
}
