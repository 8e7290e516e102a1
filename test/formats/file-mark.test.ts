import { promises as fs } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { openFile } from "../../src/formats/byte-source.ts";
import { assertUnchanged, markOf } from "../../src/formats/file-mark.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const root = temporaryFolder();

/** What becomes of a file while it is read. */
const CHANGES: readonly (readonly [what: string, change: (file: string) => Promise<void>])[] = [
  ["it is written to, its size and time as before", (file) => keepingTime(file, () => fs.writeFile(file, "other"))],
  [
    "it is written to and written back, its time as before",
    (file) =>
      keepingTime(file, async () => {
        await fs.writeFile(file, "other");
        await fs.writeFile(file, "bytes");
      }),
  ],
  [
    "another file is renamed to it, of the same size and time",
    async (file) => {
      const { atime, mtime } = await fs.stat(file);
      await fs.writeFile(`${file}.new`, "other");
      await fs.utimes(`${file}.new`, atime, mtime);
      await fs.rename(`${file}.new`, file);
    },
  ],
  ["it shrinks", (file) => fs.truncate(file, 2)],
  ["it is removed", (file) => fs.rm(file)],
];

async function keepingTime(file: string, change: () => Promise<void>): Promise<void> {
  const { atime, mtime } = await fs.stat(file);
  await change();
  await fs.utimes(file, atime, mtime);
}

test.each(CHANGES)("weights-changed-during-compress: it is noticed that %s", async (what, change) => {
  const file = path.join(root, what);
  await fs.writeFile(file, "bytes");
  const source = await openFile(file);
  const marks = [source.mark ?? (await markOf(file))];
  await assertUnchanged(marks);
  // Times of change are as coarse as the system's clock ticks.
  await new Promise((resolve) => setTimeout(resolve, 20));
  await change(file);
  await expect(assertUnchanged(marks)).rejects.toMatchObject({
    code: "SOURCE_CHANGED",
    message: `${file}: expected a file that stays as it is, found that it changed while it was read`,
  });
  await source.close();
});

test("weights-changed-during-compress: reading changes nothing", async () => {
  const file = path.join(root, "read");
  await fs.writeFile(file, "bytes");
  const source = await openFile(file);
  await source.read(0, 5);
  await fs.readFile(file);
  await assertUnchanged([await markOf(file)]);
  await source.close();
});
