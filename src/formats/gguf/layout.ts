import { HeaderBytes } from "./header-bytes.ts";
import { DEFAULT_ALIGNMENT, GGUF_MAGIC, GGUF_VERSION, type GgufMetadata } from "./metadata.ts";
import { GGUF_TENSOR_TYPES, type GgufTensorType, ggufTensorBytes } from "./tensor-types.ts";

/** A tensor to be written; `rows` is null for a vector. */
export interface GgufTensorEntry {
  readonly name: string;
  readonly type: GgufTensorType;
  readonly rows: number | null;
  readonly cols: number;
}

/** A tensor and where it lies, counted from the start of the file. */
export interface GgufTensorPlace extends GgufTensorEntry {
  readonly bytes: number;
  readonly offset: number;
}

/** A GGUF file known to the byte before its tensors are: the header, and where they go. */
export interface GgufLayout {
  readonly header: Uint8Array;
  readonly tensors: readonly GgufTensorPlace[];
  readonly totalBytes: number;
}

/**
 * Lays a file out, tensors in the order given, each from a multiple of 32. A plain Error where a row is no whole
 * blocks.
 */
export function layoutGguf(metadata: GgufMetadata, entries: readonly GgufTensorEntry[]): GgufLayout {
  let dataBytes = 0;
  const places = entries.map((entry): GgufTensorPlace => {
    const bytes = ggufTensorBytes(entry.type, entry.rows ?? 1, entry.cols);
    if (bytes === null) throw new Error(`${entry.name}: ${entry.cols} columns are no whole blocks of ${entry.type}`);
    const offset = dataBytes;
    dataBytes += Math.ceil(bytes / DEFAULT_ALIGNMENT) * DEFAULT_ALIGNMENT;
    return { ...entry, bytes, offset };
  });
  const header = headerOf(metadata, places);
  const tensors = places.map((place) => ({ ...place, offset: header.length + place.offset }));
  return { header, tensors, totalBytes: header.length + dataBytes };
}

function headerOf(metadata: GgufMetadata, places: readonly GgufTensorPlace[]): Uint8Array {
  const out = new HeaderBytes();
  out.number("uint32", GGUF_MAGIC);
  out.number("uint32", GGUF_VERSION);
  out.uint64(places.length);
  out.uint64(metadata.size);
  for (const [key, value] of metadata) {
    out.string(key);
    out.value(value);
  }
  for (const { name, type, rows, cols, offset } of places) {
    // The innermost size comes first.
    const sizes = rows === null ? [cols] : [cols, rows];
    out.string(name);
    out.number("uint32", sizes.length);
    for (const size of sizes) out.uint64(size);
    out.number("uint32", GGUF_TENSOR_TYPES[type].id);
    out.uint64(offset);
  }
  return out.finish(DEFAULT_ALIGNMENT);
}
