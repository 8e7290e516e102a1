import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { FIXTURES } from "./fixtures.ts";

/** A copy of a folder of fixtures with its `.gz` files unpacked, which is removed after the tests of the file. */
export function unpacked(name: string): string {
  const from = path.join(FIXTURES, name);
  const to = temporaryFolder();
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.relative(from, path.join(entry.parentPath, entry.name));
    const bytes = readFileSync(path.join(from, file));
    mkdirSync(path.join(to, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(to, file.replace(/\.gz$/, "")), file.endsWith(".gz") ? gunzipSync(bytes) : bytes);
  }
  return to;
}
