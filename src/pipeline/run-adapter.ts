import path from "node:path";
import { hashFile } from "../artifact/content-hash.ts";
import type { Provenance } from "../artifact/manifest.ts";
import { assertUnchanged, markOf } from "../formats/file-mark.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { LowRankPart } from "../model/low-rank.ts";
import { CONFIG_NAME, WEIGHTS_NAME } from "../model/peft/config.ts";
import { readPeftAdapter } from "../model/peft/read.ts";

/** A PEFT adapter that a run works with. */
export interface RunAdapter {
  readonly parts: readonly LowRankPart[];
  /** Which one it is. */
  readonly identity: NonNullable<Provenance["adapter"]>;
}

/** Reads an adapter and hashes its files. Throws UserError as `readPeftAdapter`, or `SOURCE_CHANGED`. */
export async function readRunAdapter(folder: string, spec: DecoderSpec): Promise<RunAdapter> {
  const { parts, base } = await readPeftAdapter(folder, spec);
  const files = [];
  for (const name of [CONFIG_NAME, WEIGHTS_NAME]) {
    const file = path.join(folder, name);
    const mark = await markOf(file);
    const { bytes, sha256 } = await hashFile(file);
    await assertUnchanged([mark]);
    files.push({ name, bytes, sha256 });
  }
  return { parts, identity: { base, files } };
}
