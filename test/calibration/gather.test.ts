import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { buildCalibration } from "../../src/calibration/build.ts";
import { gatherCalibration } from "../../src/calibration/gather.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { wordTokenizer } from "./word-tokenizer.ts";

const folder = temporaryFolder();

/** A file of paragraphs of 20 words, every word of the text different. */
function numbered(name: string, words: number, mark: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, Array.from({ length: words }, (_, i) => `${mark}${i}${i % 20 === 19 ? "\n\n" : " "}`).join(""));
  return file;
}

const counts = (sources: readonly { readonly sequences: number }[]) => sources.map(({ sequences }) => sequences);

describe("gatherCalibration", () => {
  const files = [
    numbered("short.txt", 200, "a"),
    numbered("long.txt", 3000, "b"),
    numbered("longer.txt", 4000, "c"),
  ].map((file) => ({ path: file }));

  it("takes the files in equal parts, and of the others what a short one lacks", async () => {
    const even = await gatherCalibration(wordTokenizer(), files, { tokens: 480, sequenceTokens: 40, seed: 1 });
    expect(counts(even.sources)).toEqual([4, 4, 4]);
    const more = await gatherCalibration(wordTokenizer(), files, { tokens: 2000, sequenceTokens: 40, seed: 1 });
    expect(counts(more.sources)).toEqual([5, 22, 22]);
    expect(more.tokens).toBe(49 * 40);
    expect(new Set(more.sequences.flatMap((sequence) => [...sequence])).size).toBe(more.tokens);
  });

  it("takes all there is where that is not enough", async () => {
    const all = await gatherCalibration(wordTokenizer(), files, { tokens: 50_000, sequenceTokens: 40, seed: 1 });
    expect(counts(all.sources)).toEqual([5, 75, 100]);
  });

  it("leaves out whatever shares text with held-out sequences", async () => {
    const tokenizer = wordTokenizer();
    const guard = { sequenceTokens: 40, seed: 1, heldOutSequences: 6 };
    const source = { ...files[1], tokens: 400 };
    const { heldOut } = await buildCalibration(tokenizer, [source], guard);
    const asked = { tokens: 3000, sequenceTokens: 40, seed: 2 };
    const free = await gatherCalibration(tokenizer, [files[1]], asked);
    const kept = await gatherCalibration(tokenizer, [files[1]], { ...asked, heldOut });
    expect(kept.sequences.length).toBeLessThan(free.sequences.length);
    expect(kept.sequences.length).toBeGreaterThanOrEqual(free.sequences.length - 12);
    for (const sequence of kept.sequences) {
      for (const held of heldOut) expect(sequence.filter((id) => held.includes(id)).length).toBeLessThan(32);
    }
    expect(kept.id).not.toBe(free.id);
  });

  it("says which file holds nothing", async () => {
    const empty = path.join(folder, "empty.txt");
    writeFileSync(empty, "");
    const gathered = gatherCalibration(wordTokenizer(), [{ path: empty }], {
      tokens: 400,
      sequenceTokens: 40,
      seed: 1,
    });
    await expect(gathered).rejects.toMatchObject({ code: "CALIBRATION_EMPTY" });
  });
});
