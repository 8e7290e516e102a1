import { createHash } from "node:crypto";
import path from "node:path";
import type { Checkpoint } from "../model/checkpoint.ts";
import { hashFile } from "./content-hash.ts";

/** A checkpoint by its contents. */
export interface SourceContents {
  /** sha256 over config, headers and the contents of all weights files. */
  readonly id: string;
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[];
}

/** Reads and hashes every weights file. Throws UserError `FILE_*`, or Interrupted when stopped. */
export async function sourceContents(checkpoint: Checkpoint, signal?: AbortSignal): Promise<SourceContents> {
  const hash = createHash("sha256").update(checkpoint.id);
  const files = [];
  for (const file of checkpoint.files) {
    const { bytes, sha256 } = await hashFile(file.path, [], signal);
    files.push({ name: path.basename(file.path), bytes, sha256 });
    hash.update(sha256);
  }
  return { id: hash.digest("hex"), files };
}
