import path from "node:path";
import { z } from "zod";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import { Sha256 } from "./manifest.ts";

/** What an unfinished artifact knows of itself, beside its files. */
export const JOURNAL_NAME = "journal.json";

const Journal = z.strictObject({
  /** What the artifact depends on: another key starts anew. */
  key: z.string(),
  /** Segments whose bytes are on the disk. */
  finishedSegments: z.number().int().nonnegative(),
  /** sha256 of the tensors of these segments, by name. */
  tensors: z.record(z.string(), Sha256),
});
export type Journal = z.infer<typeof Journal>;

/** The journal of a folder if it is of this key; null if there is none, or of another key, or it is damaged. */
export async function readJournal(folder: string, key: string): Promise<Journal | null> {
  try {
    const journal = await readJsonFile(path.join(folder, JOURNAL_NAME), Journal);
    return journal.key === key ? journal : null;
  } catch {
    // Whatever is wrong with it, the unfinished artifact is written anew: nothing is lost but time.
    return null;
  }
}

/** Replaces the journal in one step. */
export async function writeJournal(folder: string, journal: Journal): Promise<void> {
  await writeFileAtomic(path.join(folder, JOURNAL_NAME), JSON.stringify(journal));
}
