import { UserError } from "../errors.ts";
import type { ByteSource } from "../formats/byte-source.ts";
import type { TensorRecord } from "./manifest.ts";

/** Maps the first `bytes` bytes of a file into memory, whose pages are read when they are touched. */
export type FileMapper = (path: string, bytes: number) => Mapping;

/** A file in memory. */
export interface Mapping {
  readonly buffer: ArrayBuffer;
  /** Whether the file was cut short since, and what is gone reads as zeros. */
  isTorn(): boolean;
}

/** Where a tensor lies: what of its record is needed to read it. */
type TensorPosition = Pick<TensorRecord, "name" | "offset" | "bytes">;

/**
 * The data of one weights file whose size and header have been checked. Numbers are little-endian in the file and on
 * every machine that Node runs on; offsets are multiples of 64.
 */
export interface TensorFile {
  /** Bytes [from, to) of a tensor. */
  bytes(tensor: TensorPosition, from: number, to: number): Promise<Uint8Array>;
  /** The first `length` numbers of an F32 tensor. */
  floats(tensor: TensorPosition, length: number): Promise<Float32Array>;
  /** Throws UserError `FILE_TRUNCATED` where a mapped file was cut short. */
  assertIntact(): void;
  close(): Promise<void>;
}

/** Reads from the open file. */
export function readTensors(file: ByteSource): TensorFile {
  return {
    async bytes(tensor, from, to) {
      checkPart(tensor, from, to);
      return file.read(tensor.offset + from, to - from);
    },
    async floats({ offset }, length) {
      const numbers = new Float32Array(length);
      await file.read(offset, numbers.byteLength, new Uint8Array(numbers.buffer));
      return numbers;
    },
    assertIntact() {},
    close: () => file.close(),
  };
}

/** Views of the mapped file: nothing is read or copied, and every view keeps the mapping alive. */
export function mapTensors(file: string, mapping: Mapping): TensorFile {
  let open: ArrayBuffer | null = mapping.buffer;
  const buffer = () => {
    if (!open) throw new Error("the artifact is closed");
    return open;
  };
  return {
    async bytes(tensor, from, to) {
      checkPart(tensor, from, to);
      return new Uint8Array(buffer(), tensor.offset + from, to - from);
    },
    async floats({ offset }, length) {
      return new Float32Array(buffer(), offset, length);
    },
    assertIntact() {
      if (!open || !mapping.isTorn()) return;
      const found = `${file}: expected ${open.byteLength} bytes as long as it is open, found that it was cut short`;
      throw new UserError("FILE_TRUNCATED", found, "copy the artifact again, then open it again");
    },
    async close() {
      open = null;
    },
  };
}

function checkPart({ name, bytes }: TensorPosition, from: number, to: number): void {
  if (from >= 0 && from <= to && to <= bytes) return;
  throw new RangeError(`part [${from}, ${to}) of tensor ${name} of ${bytes} bytes`);
}
