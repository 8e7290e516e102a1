import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { templateBeginning } from "../../src/model/tokenizer-beginning.ts";
import { openTextCodec } from "../../src/model/tokenizer-library.ts";
import { readTokenizerModel } from "../../src/model/tokenizer-model.ts";
import { libraryParts } from "../../src/model/tokenizer-parts.ts";
import { FIXTURES } from "../support/fixtures.ts";

const Goldens = z.object({
  texts: z.array(z.string()),
  model: z.looseObject({}),
  cases: z.array(
    z.object({
      name: z.string(),
      change: z.looseObject({}),
      ids: z.array(z.array(z.number())),
      decoded: z.array(z.string()).optional(),
    }),
  ),
});
const goldens = Goldens.parse(JSON.parse(readFileSync(path.join(FIXTURES, "tokenizers/parts.json"), "utf8")));

const open = (tokenizerJson: object) =>
  openTextCodec({ tokenizerJson, model: readTokenizerModel(tokenizerJson, "t.json"), added: [] }, "t.json");

describe("every kind of part gives the ids of the Rust tokenizers", () => {
  it.each(goldens.cases.map((golden) => [golden.name, golden] as const))("%s", (_, { change, ids, decoded }) => {
    const codec = open({ model: structuredClone(goldens.model), ...structuredClone(change) });
    goldens.texts.forEach((text, i) => {
      expect(codec.encode(text), text).toEqual(ids[i]);
      if (decoded && ids[i].length > 0) expect(codec.decode(ids[i]), text).toBe(decoded[i]);
    });
  });
});

const words = { type: "WordLevel", vocab: { "<unk>": 0, hello: 1, world: 2 }, unk_token: "<unk>" };
const whitespace = { type: "Whitespace" };

describe("wordlevel-unknown-word: what a vocabulary lacks", () => {
  it("is the unknown token that tokenizer.json names", () => {
    expect(open({ model: words, pre_tokenizer: whitespace }).encode("hello big world")).toEqual([1, 0, 2]);
  });

  const unigram = {
    type: "Unigram",
    vocab: [
      ["a", -1],
      ["b", -2],
    ],
    unk_id: null,
  };
  const bpe = { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"], unk_token: "<unk>" };
  const pieces = {
    type: "WordPiece",
    vocab: { a: 0 },
    unk_token: "<unk>",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 9,
  };
  it.each<[string, object]>([
    ["WordLevel", { ...words, vocab: { hello: 0 }, unk_token: null }],
    ["Unigram", unigram],
    ["BPE whose unknown token has no id", bpe],
    ["WordPiece whose unknown token has no id", pieces],
  ])("is refused by name where no token stands for it: %s", (_, model) => {
    const codec = open({ model, pre_tokenizer: whitespace });
    expect(() => codec.encode("zz")).toThrow(expect.objectContaining({ code: "TOKEN_UNKNOWN" }));
  });
});

describe("tokenizer-post-processor: what a tokenizer cannot work with is refused when it is opened", () => {
  const model = words;
  const nested = (depth: number): object =>
    depth === 0 ? { type: "NFC" } : { type: "Sequence", normalizers: [nested(depth - 1)] };
  it.each<[string, object]>([
    ["normalizer: expected one of", { normalizer: { type: "Nmt" } }],
    ["normalizer: Invalid input: expected object", { normalizer: "NFC" }],
    ["normalizer: type", { normalizer: {} }],
    ["normalizer: pattern", { normalizer: { type: "Replace", content: "x" } }],
    ["normalizer: content", { normalizer: { type: "Replace", pattern: { String: "a" }, content: 3 } }],
    ["normalizer: prepend", { normalizer: { type: "Prepend" } }],
    ["supported kind: Invalid regular", { normalizer: { type: "Replace", pattern: { Regex: "(" }, content: "" } }],
    ["normalizer.normalizers: 0: Invalid input", { normalizer: { type: "Sequence", normalizers: [null] } }],
    ["normalizer.normalizers: ", { normalizer: { type: "Sequence" } }],
    ["at most 8 sequences in one another", { normalizer: nested(9) }],
    ["pre_tokenizer: length", { pre_tokenizer: { type: "FixedLength", length: 0 } }],
    ["pre_tokenizer: behavior", { pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "Sometimes" } }],
    [
      "pre_tokenizer: invert",
      { pre_tokenizer: { type: "Split", pattern: { String: " " }, behavior: "Contiguous", invert: true } },
    ],
    ["pre_tokenizer: add_prefix_space", { pre_tokenizer: { type: "ByteLevel", add_prefix_space: "no" } }],
    [
      "decoder.decoders.1: expected one of",
      { decoder: { type: "Sequence", decoders: [{ type: "Fuse" }, { type: "?" }] } },
    ],
    ["decoder: suffix", { decoder: { type: "BPEDecoder" } }],
    ["model: type", { model: { ...words, type: "SentencePiece" } }],
    ["model.vocab: expected ids", { model: { ...words, vocab: { a: "x" } } }],
    ["model.vocab: expected pieces", { model: { type: "Unigram", vocab: [["a"]], unk_id: 0 } }],
    ["model.merges.0: expected two texts", { model: { type: "BPE", vocab: { a: 0 }, merges: ["a"] } }],
    [
      "continuing_subword_prefix",
      { model: { type: "BPE", vocab: { a: 0 }, merges: [], continuing_subword_prefix: "##" } },
    ],
  ])("%s", (message, change) => {
    expect(() => open({ model, ...change })).toThrow(message);
  });

  const template = { type: "TemplateProcessing", single: [], special_tokens: {} };
  it.each<[string, unknown]>([
    ["post_processor: single", { ...template, single: null }],
    ["post_processor: single.0", { ...template, single: ["$A"] }],
    ["post_processor.single: expected the text ($A) once, found it 0 times", template],
    [
      'post_processor.special_tokens: expected "<s>"',
      { ...template, single: [{ SpecialToken: { id: "<s>" } }, { Sequence: { id: "A" } }] },
    ],
    ["post_processor: cls.1", { type: "BertProcessing", cls: ["a", "b"], sep: ["a", 1] }],
    ['found "Other"', { type: "Other" }],
    ["post_processor: Invalid input: expected object", 7],
    ["post_processor.processors.0: Invalid input", { type: "Sequence", processors: ["x"] }],
  ])("%s", (message, processor) => {
    expect(() => templateBeginning(processor, "t.json")).toThrow(message);
  });

  it("reads what stands before a text, whatever stands in the other parts of it", () => {
    const single = [
      { SpecialToken: { id: "[gMASK]<sop>" } },
      { Sequence: { id: "A" } },
      { SpecialToken: { id: "</s>" } },
    ];
    const special_tokens = { "[gMASK]<sop>": { ids: [5, 6] }, "</s>": { ids: [2] } };
    const processor = { ...template, single, special_tokens, pair: null };
    expect(templateBeginning(processor, "t")).toEqual([5, 6]);
    const roberta = { type: "RobertaProcessing", cls: ["<s>", 1], sep: ["</s>", 2] };
    expect(
      templateBeginning({ type: "Sequence", processors: [{ type: "ByteLevel" }, processor, roberta] }, "t"),
    ).toEqual([1, 5, 6]);
    expect([templateBeginning(null, "t"), templateBeginning(undefined, "t")]).toEqual([[], []]);
  });

  it("needs no parts but the model", () => {
    expect(libraryParts({}, "t")).toEqual({ normalizer: null, pre_tokenizer: null, decoder: null });
    expect(open({ model }).encode("hello")).toEqual([1]);
  });
});

describe("tokenizer-deep-nesting: patterns have limits", () => {
  const split = (Regex: string) => ({ type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false });
  const nested = (groups: number) => split(`${"(?:a|".repeat(groups)}a${")".repeat(groups)}`);

  it("of groups in groups, beyond which JavaScript would end the process, and of length", () => {
    expect(open({ model: words, pre_tokenizer: nested(50) }).encode("hello")).toEqual([1]);
    for (const groups of [51, 1500]) {
      expect(() => open({ model: words, pre_tokenizer: nested(groups) })).toThrow("groups in at most 50 others");
    }
    expect(() => open({ model: words, pre_tokenizer: split("a".repeat(10_001)) })).toThrow("at most 10000 characters");
    const escaped = split(`${"\\(".repeat(60)}|[${"(".repeat(40)}]`);
    expect(open({ model: words, pre_tokenizer: escaped }).encode("hello")).toEqual([1]);
  });

  it("of time: a pattern that goes back and forth is stopped", () => {
    const codec = open({ model: words, pre_tokenizer: split("(a|a)*c") });
    expect(() => codec.encode("a".repeat(60))).toThrow(
      /^t.json: expected to read 60 characters in 1.0 s, found it busy$/,
    );
    const normalizer = { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "b" };
    expect(() => open({ model: words, normalizer }).encode(`${"a".repeat(60)}!`)).toThrow("found it busy");
  });
});
