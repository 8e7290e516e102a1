import { promises as fs } from "node:fs";
import { UserError } from "../errors.ts";
import { type FileMark, markOf } from "./file-mark.ts";
import { fileError, isFile, MAX_IO_BYTES, sizeOfFile } from "./files.ts";
import { FOREIGN_BYTES, foreignFile } from "./foreign-file.ts";

/** Bytes that can be read at any position: an open file, or a buffer. */
export interface ByteSource {
  /** File name, for messages. */
  readonly label: string;
  readonly byteLength: number;
  /** As the file was when it was opened; null for bytes in memory. */
  readonly mark: FileMark | null;
  /**
   * Bytes [offset, offset + length), in the first `length` bytes of `into` where given; a UserError if the file ends
   * before.
   */
  read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array>;
  close(): Promise<void>;
}

function checkRange(source: ByteSource, offset: number, length: number, into: Uint8Array | undefined): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new RangeError(`${source.label}: bad read of ${length} bytes at ${offset}`);
  }
  if (into && into.length < length) throw new RangeError(`buffer of ${into.length} bytes for a read of ${length}`);
  if (offset + length > source.byteLength) throw shortRead(source.label, offset + length, source.byteLength);
}

function shortRead(label: string, expectedBytes: number, foundBytes: number): UserError {
  return new UserError(
    "FILE_TRUNCATED",
    `${label}: file ends early: expected at least ${expectedBytes} bytes, found ${foundBytes}`,
    "download or copy the file again",
  );
}

class FileSource implements ByteSource {
  readonly label: string;
  readonly byteLength: number;
  readonly mark: FileMark;
  private readonly handle: fs.FileHandle;

  constructor(mark: FileMark, handle: fs.FileHandle) {
    this.label = mark.path;
    this.byteLength = mark.bytes;
    this.mark = mark;
    this.handle = handle;
  }

  async read(offset: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    checkRange(this, offset, length, into);
    const target = into ? into.subarray(0, length) : new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const bytesRead = await this.readSome(target, done, offset + done);
      if (bytesRead === 0) throw shortRead(this.label, offset + length, offset + done);
      done += bytesRead;
    }
    return target;
  }

  private async readSome(target: Uint8Array, start: number, position: number): Promise<number> {
    try {
      const length = Math.min(MAX_IO_BYTES, target.length - start);
      const { bytesRead } = await this.handle.read(target, start, length, position);
      return bytesRead;
    } catch (error) {
      throw fileError(error, this.label, "read");
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}

/** Opens a file for positioned reads; a UserError if it is missing, forbidden or not a regular file. */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: fs.FileHandle | undefined;
  try {
    await sizeOfFile(path);
    handle = await fs.open(path, "r");
    return new FileSource(await markOf(path, handle), handle);
  } catch (error) {
    await handle?.close();
    throw fileError(error, path, "read");
  }
}

/** Bytes in memory as a source. */
export function bytesSource(label: string, bytes: Uint8Array): ByteSource {
  const source: ByteSource = {
    label,
    byteLength: bytes.length,
    mark: null,
    async read(offset, length, into) {
      checkRange(source, offset, length, into);
      const part = bytes.subarray(offset, offset + length);
      if (!into) return new Uint8Array(part);
      into.set(part);
      return into.subarray(0, length);
    },
    async close() {},
  };
  return source;
}

/** What `foreignFile` says of a file that could not be read as it was expected: its error, or null. */
export async function foreignSource(source: ByteSource, expected: string): Promise<UserError | null> {
  const head = await source.read(0, Math.min(source.byteLength, FOREIGN_BYTES));
  return foreignFile(head, source.label, expected);
}

/** The same of a file that nobody has opened; null also where there is no such file. */
export async function foreignAt(path: string, expected: string): Promise<UserError | null> {
  if (!(await isFile(path))) return null;
  const source = await openFile(path);
  return foreignSource(source, expected).finally(() => source.close());
}
