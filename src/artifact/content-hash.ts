import { createHash } from "node:crypto";
import { throwIfAborted } from "../errors.ts";
import { openFile } from "../formats/byte-source.ts";

/** Bytes read at a time: enough for full disk speed. */
const STEP_BYTES = 4 * 1024 * 1024;

/** Part of a file, for a hash of its own. */
export interface FilePart {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
}

/** Hashes of a file and of parts of it, in hexadecimal. */
export interface ContentHashes {
  readonly bytes: number;
  readonly sha256: string;
  readonly parts: ReadonlyMap<string, string>;
}

/** Hashes a buffer. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Reads a file once and hashes it and its parts (in file order, apart from each other). Throws UserError where a part
 * lies beyond its end.
 */
export async function hashFile(
  path: string,
  parts: readonly FilePart[] = [],
  signal?: AbortSignal,
): Promise<ContentHashes> {
  const source = await openFile(path);
  try {
    const whole = createHash("sha256");
    const found = new Map<string, string>();
    const buffer = new Uint8Array(STEP_BYTES);
    const feed = async (from: number, to: number, part?: ReturnType<typeof createHash>): Promise<void> => {
      for (let at = from; at < to; at += STEP_BYTES) {
        throwIfAborted(signal);
        const chunk = await source.read(at, Math.min(STEP_BYTES, to - at), buffer);
        whole.update(chunk);
        part?.update(chunk);
      }
    };
    let at = 0;
    for (const { name, offset, bytes } of parts) {
      await feed(at, offset);
      const part = createHash("sha256");
      await feed(offset, offset + bytes, part);
      found.set(name, part.digest("hex"));
      at = offset + bytes;
    }
    await feed(at, source.byteLength);
    return { bytes: source.byteLength, sha256: whole.digest("hex"), parts: found };
  } finally {
    await source.close();
  }
}
