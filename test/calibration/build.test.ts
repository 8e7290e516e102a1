import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { buildCalibration } from "../../src/calibration/build.ts";
import { wordTokenizer } from "./word-tokenizer.ts";

const folder = mkdtempSync(path.join(tmpdir(), "layerwise-calibration-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string | Buffer): string {
  const target = path.join(folder, name);
  writeFileSync(target, text);
  return target;
}

/** Paragraphs of 20 words, every word of the text different. */
function numbered(words: number, mark = "w"): string {
  return Array.from({ length: words }, (_, i) => `${mark}${i}${i % 20 === 19 ? "\n\n" : " "}`).join("");
}

const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => "no error",
    (error: Error & { code?: string }) => `${error.code} ${error.message}`,
  );

describe("buildCalibration", () => {
  it("cuts a small text into sequences of the exact length, each token used at most once", async () => {
    const source = { path: file("small.txt", numbered(1000)), tokens: 640 };
    const calibration = await buildCalibration(wordTokenizer(), [source], { sequenceTokens: 64, seed: 1 });
    expect(calibration.sequences.map((s) => s.length)).toEqual(Array(10).fill(64));
    expect(calibration.tokens).toBe(640);
    expect(new Set(calibration.sequences.flatMap((s) => [...s])).size).toBe(640);
    expect(calibration.sources).toMatchObject([{ path: source.path, tokens: 640, sequences: 10 }]);
    expect(calibration.sources[0].sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it("takes passages without overlap from a large text and starts them at paragraphs", async () => {
    const tokenizer = wordTokenizer();
    const source = { path: file("large.txt", numbered(8000)), tokens: 1280 };
    const { sequences } = await buildCalibration(tokenizer, [source], { sequenceTokens: 128, seed: 3 });
    expect(sequences.map((s) => s.length)).toEqual(Array(10).fill(128));
    expect(new Set(sequences.flatMap((s) => [...s])).size).toBe(1280);
    const numbers = sequences.map((s) => Number(tokenizer.decode([s[0]]).slice(1)));
    expect(numbers.filter((n) => n % 20 === 0)).toHaveLength(10);
    const spread = Math.max(...numbers) - Math.min(...numbers);
    expect(spread).toBeGreaterThan(2000);
  });

  it("tokenizes little more of a large text than it needs", async () => {
    const tokenizer = wordTokenizer();
    const text = "some plain words that come again and again, as words in a text do. ".repeat(40_000);
    const source = { path: file("huge.txt", text), tokens: 2048 };
    await buildCalibration(tokenizer, [source], { sequenceTokens: 128, seed: 3 });
    expect(tokenizer.chars).toBeLessThan(2048 * 5 * 2.5);
  });

  it("depends on the seed, and on nothing else", async () => {
    const source = { path: file("seeded.txt", numbered(4000)), tokens: 512 };
    const ids = [7, 7, 8].map(async (seed) => {
      const tokenizer = wordTokenizer();
      tokenizer.encode(numbered(4000));
      return (await buildCalibration(tokenizer, [source], { sequenceTokens: 64, seed })).id;
    });
    const [a, b, c] = await Promise.all(ids);
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  it.each([
    ["a large text", 8000],
    ["a text whose passages just suffice for the sequences", 1700],
    ["a small text", 1200],
  ])("holds sequences out without changing the others: %s", async (_, words) => {
    const sources = ["a", "b"].map((mark) => ({
      path: file(`${mark}-${words}.txt`, numbered(words, mark)),
      tokens: 640,
    }));
    // One for all, which knows every word: its numbers then do not depend on what is read first.
    const tokenizer = wordTokenizer({ bos: true });
    for (const mark of ["a", "b"]) tokenizer.encode(numbered(words, mark));
    const build = (heldOutSequences: number) =>
      buildCalibration(tokenizer, sources, { sequenceTokens: 64, seed: 2, heldOutSequences });
    const plain = await build(0);
    expect(plain.heldOut).toEqual([]);
    for (const count of [1, 5, 12]) {
      const { heldOut, ...calibration } = await build(count);
      expect(calibration).toEqual({ ...plain, heldOut: undefined });
      expect(heldOut.map((sequence) => [sequence.length, sequence[0]])).toEqual(Array(count).fill([64, 1]));
      const used = [...calibration.sequences, ...heldOut].flatMap((sequence) => [...sequence.slice(1)]);
      expect(new Set(used).size).toBe(used.length);
    }
    await expect(build(400)).rejects.toMatchObject({ code: "CALIBRATION_TOO_SHORT" });
  });

  it("starts each sequence with BOS where the tokenizer adds one", async () => {
    const source = { path: file("bos.txt", numbered(500)), tokens: 160 };
    const { sequences } = await buildCalibration(wordTokenizer({ bos: true }), [source], {
      sequenceTokens: 32,
      seed: 1,
    });
    expect(sequences.map((s) => [s.length, s[0], s.indexOf(1, 1)])).toEqual(Array(5).fill([32, 1, -1]));
  });

  it.each([8, 400])("does not put BOS before one that a chat template wrote: %i conversations", async (count) => {
    const chatTemplate = "<s> {{ messages[0].content }}";
    const lines = Array.from({ length: count }, (_, i) => numbered(40, `d${i}x`).replaceAll("\n", " "));
    const jsonl = lines.map((content) => JSON.stringify({ messages: [{ role: "user", content }] })).join("\n");
    const source = { path: file(`chat-${count}.jsonl`, jsonl), tokens: 160 };
    const options = { sequenceTokens: 32, seed: 1 };
    const { sequences } = await buildCalibration(wordTokenizer({ bos: true, chatTemplate }), [source], options);
    expect(sequences.map((s) => [s.length, s[0], s[1] === 1])).toEqual(Array(5).fill([32, 1, false]));
  });

  it("mixes sources by their token counts and shares the rest of maxTokens", async () => {
    const sources = [
      { path: file("a.txt", numbered(2000, "a")), tokens: 96 },
      { path: file("b.txt", numbered(2000, "b")) },
      { path: file("c.jsonl", `${JSON.stringify({ text: numbered(2000, "c") })}\n`) },
    ];
    const options = { sequenceTokens: 32, seed: 5, maxTokens: 96 + 128 };
    const calibration = await buildCalibration(wordTokenizer(), sources, options);
    expect(calibration.sources.map((s) => s.sequences)).toEqual([3, 2, 2]);
    expect(calibration.tokens).toBe(224);
  });

  it("reads jsonl: text, messages through the chat template, blank lines", async () => {
    const chatTemplate = "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}";
    const lines = [
      JSON.stringify({
        messages: [
          { role: "user", content: "hello there" },
          { role: "assistant", content: "hi" },
        ],
      }),
      "",
      JSON.stringify({ text: "one two three", id: 4 }),
    ];
    const tokenizer = wordTokenizer({ chatTemplate });
    const source = { path: file("chat.jsonl", lines.join("\n")), tokens: 8 };
    const { sequences } = await buildCalibration(tokenizer, [source], { sequenceTokens: 8, seed: 1 });
    expect(tokenizer.decode(sequences[0])).toBe("<user> hello there <assistant> hi one two three");
  });

  it("joins short documents into full sequences", async () => {
    const lines = Array.from({ length: 3000 }, (_, i) => JSON.stringify({ text: `q${i} short r${i}` }));
    const source = { path: file("short.jsonl", lines.join("\n")), tokens: 320 };
    const { sequences } = await buildCalibration(wordTokenizer(), [source], { sequenceTokens: 32, seed: 1 });
    expect(sequences.map((s) => s.length)).toEqual(Array(10).fill(32));
  });

  it("gives only full sequences that lie in the text, whatever the sizes", async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 40, max: 3000 }),
      fc.integer({ min: 2, max: 40 }),
      fc.nat(),
      async (words, length, seed) => {
        const source = { path: file("property.txt", numbered(words)) };
        const options = { sequenceTokens: length, seed, maxTokens: 10 * length };
        const { sequences } = await buildCalibration(wordTokenizer(), [source], options);
        expect(sequences.length).toBe(Math.min(10, Math.floor(words / length)));
        for (const sequence of sequences) {
          expect(sequence.length).toBe(length);
          expect(sequence.every((id, i) => i === 0 || id > 1)).toBe(true);
        }
      },
    );
    await fc.assert(property, { numRuns: 40 });
  });
});

describe("buildCalibration refuses", () => {
  const options = { sequenceTokens: 32, seed: 1 };
  const build = (target: string, tokens?: number) =>
    errorOf(buildCalibration(wordTokenizer(), [{ path: target, tokens }], options));

  it("an empty text", async () => {
    const target = file("empty.txt", " \n\n \n");
    expect(await build(target)).toBe(`CALIBRATION_EMPTY ${target}: calibration text: expected some text, found none`);
  });

  it("a missing file, a folder, a file without permission", async () => {
    expect(await build(path.join(folder, "absent.txt"))).toMatch(/^FILE_NOT_FOUND .*absent.txt: cannot read: no such/);
    expect(await build(folder)).toMatch(/^FILE_IS_FOLDER .*: expected a file, found a folder$/);
    if (process.getuid?.() !== 0) {
      const target = file("locked.txt", "text");
      chmodSync(target, 0o000);
      expect(await build(target)).toMatch(/permission denied/);
    }
  });

  it("bytes that are not UTF-8", async () => {
    expect(await build(file("latin.txt", Buffer.from([0x63, 0xe9, 0x20])))).toMatch(/^NOT_TEXT /);
  });

  it("a bad line of jsonl, by its number", async () => {
    const target = file("bad.jsonl", '{"text":"good"}\n\n{"text": oops}\n');
    expect(await build(target)).toMatch(new RegExp(`^CALIBRATION_JSON ${target}:3: JSON: expected .*`));
    expect(await build(file("keys.jsonl", '{"content":"x"}'))).toMatch(/:1: JSON: expected .* found keys content$/);
    expect(await build(file("null.jsonl", "null"))).toMatch(/:1: JSON: /);
  });

  it("messages without a chat template, by line", async () => {
    const target = file("notemplate.jsonl", '{"messages":[{"role":"user","content":"x"}]}');
    expect(await build(target)).toMatch(/^CHAT_TEMPLATE_MISSING .*notemplate.jsonl:1: /);
  });

  it("too little text, with the tokens found and needed", async () => {
    const target = file("short.txt", numbered(100));
    const expected = `CALIBRATION_TOO_SHORT ${target}: calibration text: expected at least 128 tokens, found 100`;
    expect(await build(target, 128)).toBe(expected);
    expect(await build(file("tiny.txt", numbered(20)))).toMatch(/at least 32 tokens, found 20$/);
  });

  it("numbers that make no sense", async () => {
    const target = file("numbers.txt", numbered(100));
    expect(await build(target, 31)).toMatch(/^CALIBRATION_TOKENS .*at least one sequence of 32, found 31$/);
    const none = buildCalibration(wordTokenizer(), [], options);
    expect(await errorOf(none)).toMatch(/^CALIBRATION_TOKENS .*at least one file/);
    const few = buildCalibration(wordTokenizer(), [{ path: target, tokens: 64 }], { ...options, maxTokens: 32 });
    expect(await errorOf(few)).toMatch(/at least 64, found 32$/);
  });
});
