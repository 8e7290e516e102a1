import { hashFile } from "../artifact/content-hash.ts";
import type { SourceRequest } from "../calibration/build.ts";
import type { Job } from "./job.ts";

/** The files of calibration text by their contents, for `job.once`: who reads them later finds the same or refuses. */
export function textFilesOf({ options: { calibration } }: Job): Promise<Required<SourceRequest>[]> {
  const hashed = calibration.map(async (file) => ({ ...file, sha256: (await hashFile(file.path)).sha256 }));
  return Promise.all(hashed);
}

/** sha256 of the tokenizer.json that the job's tokenizer was read from. */
export function tokenizerSha256({ facts: { tokenizer } }: Job): string | undefined {
  return tokenizer.files.find(({ name }) => name === "tokenizer.json")?.sha256;
}
