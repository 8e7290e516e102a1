import { promises as fs } from "node:fs";
import path from "node:path";
import { checkTarget, fileError, MAX_IO_BYTES, partialPath, syncFolder } from "../files.ts";
import type { GgufLayout } from "./layout.ts";

/** A piece of a tensor; tensors come in the layout's order, each in one piece or several. */
export interface GgufPiece {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Writes a whole file from pieces as they come; on any error nothing is left under either name. */
export async function writeGguf(
  file: string,
  layout: GgufLayout,
  pieces: AsyncIterable<GgufPiece> | Iterable<GgufPiece>,
): Promise<void> {
  await checkTarget(file);
  const partial = partialPath(file);
  let handle: fs.FileHandle | undefined;
  try {
    handle = await fs.open(partial, "w");
    await writeAll(handle, layout.header, 0);
    await writeTensors(handle, layout, pieces);
    // The last tensor is followed by zero bytes up to the alignment, as every other is.
    await handle.truncate(layout.totalBytes);
    await handle.sync();
    await handle.close();
    await fs.rename(partial, file);
  } catch (error) {
    await handle?.close().catch(() => undefined);
    await fs.rm(partial, { force: true }).catch(() => undefined);
    throw fileError(error, file, "write");
  }
  await syncFolder(path.dirname(file));
}

async function writeTensors(
  handle: fs.FileHandle,
  { tensors }: GgufLayout,
  pieces: AsyncIterable<GgufPiece> | Iterable<GgufPiece>,
): Promise<void> {
  let next = 0;
  let done = 0;
  for await (const { name, bytes } of pieces) {
    const place = tensors[next];
    if (place?.name !== name) throw new Error(`expected tensor ${place?.name ?? "none"}, got ${name}`);
    if (done + bytes.length > place.bytes) throw new Error(`tensor ${name}: more than ${place.bytes} bytes`);
    await writeAll(handle, bytes, place.offset + done);
    done += bytes.length;
    if (done < place.bytes) continue;
    next++;
    done = 0;
  }
  if (next < tensors.length) throw new Error(`tensor ${tensors[next].name}: ${done} of ${tensors[next].bytes} bytes`);
}

async function writeAll(handle: fs.FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const length = Math.min(MAX_IO_BYTES, bytes.length - done);
    const { bytesWritten } = await handle.write(bytes, done, length, position + done);
    done += bytesWritten;
  }
}
