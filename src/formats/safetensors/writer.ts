import { promises as fs } from "node:fs";
import path from "node:path";
import { UserError } from "../../errors.ts";
import { fileError, MAX_IO_BYTES, partialPath, syncFolder } from "../files.ts";
import { showName } from "./header.ts";
import type { SafetensorsLayout } from "./layout.ts";

export interface WriterOptions {
  /**
   * Continue a partial file: every tensor before this one in file order is there already, this one and the rest are
   * written anew.
   */
  readonly resumeAt?: string;
}

/**
 * Writes a safetensors file under a temporary name (`<path>.partial`) and renames it when it is complete. Tensors may
 * come in any order, each in one piece or several. End it with `finish`, `suspend` or `abort`.
 */
export class SafetensorsWriter {
  /** The final name. */
  readonly path: string;
  private readonly layout: SafetensorsLayout;
  private readonly handle: fs.FileHandle;
  /** Bytes written of each tensor, from its start. */
  private readonly written = new Map<string, number>();

  private constructor(file: string, layout: SafetensorsLayout, handle: fs.FileHandle) {
    this.path = file;
    this.layout = layout;
    this.handle = handle;
  }

  /** Starts a file, or continues one; a UserError `CANNOT_RESUME` if the partial file is not of this layout. */
  static async open(file: string, layout: SafetensorsLayout, options: WriterOptions = {}): Promise<SafetensorsWriter> {
    const { resumeAt } = options;
    let handle: fs.FileHandle | undefined;
    try {
      handle = await fs.open(partialPath(file), resumeAt === undefined ? "w" : "r+");
      const writer = new SafetensorsWriter(file, layout, handle);
      if (resumeAt === undefined) await writer.writeAll(layout.header, 0);
      else await writer.resume(resumeAt);
      return writer;
    } catch (error) {
      await handle?.close();
      if (handle && resumeAt === undefined) await fs.rm(partialPath(file), { force: true }).catch(() => undefined);
      throw fileError(error, file, "write");
    }
  }

  /** Appends bytes to a tensor; a plain Error if it has no room for them. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const tensor = this.layout.tensors.get(name);
    if (!tensor) throw new Error(`${this.path}: no tensor ${showName(name)} in the layout`);
    const done = this.written.get(name) ?? 0;
    const size = tensor.end - tensor.begin;
    if (done + bytes.length > size) {
      throw new Error(`${this.path}: tensor ${showName(name)}: ${done + bytes.length} bytes for ${size}`);
    }
    await this.writeAll(bytes, this.layout.dataOffset + tensor.begin + done);
    this.written.set(name, done + bytes.length);
  }

  /** Waits until all that was written is on the disk: from here a killed run can be continued. */
  async sync(): Promise<void> {
    try {
      await this.handle.sync();
    } catch (error) {
      throw fileError(error, this.path, "write");
    }
  }

  /** Syncs and gives the file its final name; a plain Error, and no file, if a tensor is not complete. */
  async finish(): Promise<void> {
    try {
      this.checkComplete();
      await this.handle.sync();
      await this.handle.close();
      await fs.rename(partialPath(this.path), this.path);
    } catch (error) {
      await this.abort();
      throw fileError(error, this.path, "write");
    }
    await syncFolder(path.dirname(this.path));
  }

  /** Stops in the middle and keeps the partial file, to be continued with `resumeAt`. */
  async suspend(): Promise<void> {
    try {
      await this.sync();
    } finally {
      await this.handle.close();
    }
  }

  /** Gives up and removes the partial file. Never throws: it runs while another error is on its way. */
  async abort(): Promise<void> {
    await this.handle.close().catch(() => undefined);
    await fs.rm(partialPath(this.path), { force: true }).catch(() => undefined);
  }

  private async writeAll(bytes: Uint8Array, position: number): Promise<void> {
    try {
      let done = 0;
      while (done < bytes.length) {
        const length = Math.min(MAX_IO_BYTES, bytes.length - done);
        const { bytesWritten } = await this.handle.write(bytes, done, length, position + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileError(error, this.path, "write");
    }
  }

  private async resume(resumeAt: string): Promise<void> {
    const next = this.layout.tensors.get(resumeAt);
    if (!next) throw new Error(`${this.path}: no tensor ${showName(resumeAt)} in the layout`);
    const keptBytes = this.layout.dataOffset + next.begin;
    const { size } = await this.handle.stat();
    if (size < keptBytes || !(await this.hasHeader())) {
      throw new UserError(
        "CANNOT_RESUME",
        `${partialPath(this.path)}: expected the first ${keptBytes} bytes of an interrupted run, found another file`,
        "remove it and run the command again",
      );
    }
    await this.handle.truncate(keptBytes);
    for (const tensor of this.layout.tensors.values()) {
      if (tensor.name === resumeAt) break;
      this.written.set(tensor.name, tensor.end - tensor.begin);
    }
  }

  private async hasHeader(): Promise<boolean> {
    const { header } = this.layout;
    const found = Buffer.alloc(header.length);
    const { bytesRead } = await this.handle.read(found, 0, header.length, 0);
    return bytesRead === header.length && found.equals(header);
  }

  private checkComplete(): void {
    for (const { name, begin, end } of this.layout.tensors.values()) {
      const done = this.written.get(name) ?? 0;
      if (done !== end - begin) {
        throw new Error(`${this.path}: tensor ${showName(name)}: ${done} of ${end - begin} bytes were written`);
      }
    }
  }
}

/** A piece of a tensor: pieces of one tensor come in order. */
export interface TensorPiece {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Writes a whole file from pieces as they come; on any error nothing is left under either name. */
export async function writeSafetensors(
  file: string,
  layout: SafetensorsLayout,
  pieces: AsyncIterable<TensorPiece> | Iterable<TensorPiece>,
): Promise<void> {
  const writer = await SafetensorsWriter.open(file, layout);
  try {
    for await (const { name, bytes } of pieces) await writer.write(name, bytes);
  } catch (error) {
    await writer.abort();
    throw error;
  }
  await writer.finish();
}
