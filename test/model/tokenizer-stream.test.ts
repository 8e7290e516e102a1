import path from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer, type Tokenizer } from "../../src/model/tokenizer.ts";
import { createTextStream, type TextStreamOptions } from "../../src/model/tokenizer-stream.ts";
import { modelCases } from "../runtime/goldens.ts";
import { NEOX, STORIES } from "../support/fixtures.ts";
import { unpacked } from "../support/unpacked.ts";

const tokenizers = unpacked("tokenizers");
const MODELS = [
  ...modelCases(),
  ...["mistral03", "smollm"].map((name) => ({ name, folder: path.join(tokenizers, name) })),
];

const piecesOf = (tokenizer: Tokenizer, ids: ArrayLike<number>, options: TextStreamOptions = {}): string[] => {
  const stream = createTextStream(tokenizer, options);
  return [...Array.from(ids, (id) => stream.push(id)), stream.flush()];
};

describe("createTextStream", () => {
  describe.each(MODELS)("$name", ({ folder }) => {
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      tokenizer = await loadTokenizer(folder);
    });

    it("adds up to decode(all ids) for any ids", () => {
      const id = fc.integer({ min: 0, max: tokenizer.vocabSize + 2 });
      // Byte tokens and single characters are low ids: half of them low makes broken UTF-8 common.
      const low = fc.integer({ min: 0, max: Math.min(260, tokenizer.vocabSize - 1) });
      const ids = fc.array(fc.oneof(id, low), { maxLength: 40 });
      fc.assert(
        fc.property(ids, fc.boolean(), (all, skipSpecial) => {
          expect(piecesOf(tokenizer, all, { skipSpecial }).join("")).toBe(tokenizer.decode(all, { skipSpecial }));
        }),
        { seed: 1, numRuns: 300 },
      );
    });

    it("adds up for text, and never shows half a character", () => {
      fc.assert(
        fc.property(fc.string({ unit: "binary", maxLength: 12 }), (text) => {
          fc.pre(!text.includes("\uFFFD"));
          const ids = tokenizer.encode(text, { specialTokens: false });
          const pieces = piecesOf(tokenizer, ids);
          expect(pieces.join("")).toBe(tokenizer.decode(ids));
          if (!tokenizer.decode(ids).includes("\uFFFD")) expect(pieces.join("|")).not.toContain("\uFFFD");
        }),
        { seed: 2, numRuns: 200 },
      );
    });

    it("goes on from a prompt, wherever it ends: the space of a first word is kept", () => {
      const ids = tokenizer.encode("Once upon a time, there was a big cat who had 12 boats.");
      for (let n = 0; n <= ids.length; n++) {
        const prompt = ids.subarray(0, n);
        const pieces = piecesOf(tokenizer, ids.subarray(n), { after: prompt });
        expect(tokenizer.decode(prompt) + pieces.join("")).toBe(tokenizer.decode(ids));
      }
    });
  });

  it("holds back an emoji until its last byte, and gives whole words at once", async () => {
    const tokenizer = await loadTokenizer(STORIES);
    const ids = [...tokenizer.encode("hi 🙂 you", { specialTokens: false })];
    const pieces = piecesOf(tokenizer, ids);
    expect(pieces.filter((piece) => piece !== "")).toContain("🙂");
    expect(pieces.at(-1)).toBe("");
    const stream = createTextStream(tokenizer);
    const cut = ids.slice(
      0,
      ids.findIndex((_, i) => tokenizer.decode(ids.slice(0, i + 1)).endsWith("🙂")),
    );
    const shown = cut.map((id) => stream.push(id)).join("");
    expect(shown.trim()).toBe("hi");
    expect(stream.flush()).toBe("\uFFFD");
  });

  it("is empty after a flush", async () => {
    const tokenizer = await loadTokenizer(NEOX);
    const stream = createTextStream(tokenizer);
    expect(stream.flush()).toBe("");
    const ids = tokenizer.encode("é");
    const first = stream.push(ids[0]);
    expect(first + stream.flush()).toBe(tokenizer.decode([ids[0]]));
    expect(stream.flush()).toBe("");
  });
});
