import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { fileError } from "../formats/files.ts";

/** sha256 of a file's contents, in hexadecimal. Throws UserError `FILE_*` where it cannot be read. */
export async function fileSha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) hash.update(chunk);
  } catch (error) {
    throw fileError(error, file, "read");
  }
  return hash.digest("hex");
}
