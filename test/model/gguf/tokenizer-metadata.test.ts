import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import type { GgufValue } from "../../../src/formats/gguf/metadata.ts";
import { tokenizerMetadata } from "../../../src/model/gguf/tokenizer-metadata.ts";
import { loadTokenizer } from "../../../src/model/tokenizer.ts";
import { readTokenizerFiles } from "../../../src/model/tokenizer-files.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { byteTokenizer, specialToken, type TokenizerChanges } from "../../support/byte-tokenizer.ts";

const root = temporaryFolder();
let folders = 0;

/** Ids 256, 257, 258. */
const SPECIALS = ["<|begin|>", "<|stop|>", "<|eot|>"];
const CONFIG = { bos_token: "<|begin|>", eos_token: "<|stop|>" };
const LEVEL = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
const LLAMA3 = {
  type: "Sequence",
  pretokenizers: [
    {
      type: "Split",
      pattern: {
        Regex:
          "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
      },
      behavior: "Isolated",
      invert: false,
    },
    { ...LEVEL, use_regex: false },
  ],
};
const DIGITS = { type: "Sequence", pretokenizers: [{ type: "Digits", individual_digits: true }, LEVEL] };
const begins = (...ids: number[]) => ({
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "b", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  special_tokens: { b: { id: "b", ids, tokens: [] } },
});

/** The metadata that a folder of these files gives, or the reasons against it. */
async function metadataOf(
  json: object,
  {
    config = CONFIG,
    ...more
  }: { readonly config?: object; readonly generation?: object; readonly ends?: number[] } = {},
) {
  const folder = path.join(root, String(folders++));
  mkdirSync(folder);
  const files = { "tokenizer.json": json, "tokenizer_config.json": config, "generation_config.json": more.generation };
  for (const [name, value] of Object.entries(files)) {
    if (value) writeFileSync(path.join(folder, name), JSON.stringify(value));
  }
  const spec = { vocabSize: 260, bosToken: null, eosTokens: more.ends ?? [] };
  const exported = { files: await readTokenizerFiles(folder), tokenizer: await loadTokenizer(folder, { spec }) };
  const { entries, reasons } = tokenizerMetadata(exported, spec);
  const values = new Map<string, GgufValue["value"]>(entries?.map(([key, { value }]) => [key, value]));
  return { reasons, of: (key: string) => values.get(`tokenizer.ggml.${key}`) };
}

describe("gguf-bos-from-template: what a text begins with is said", () => {
  test.each<[string, TokenizerChanges, object, number | undefined, boolean]>([
    ["the template", { post_processor: begins(256) }, {}, 256, true],
    ["the template, of another token than bos_token", { post_processor: begins(258) }, {}, 258, true],
    ["add_bos_token", {}, { add_bos_token: true }, 256, true],
    ["add_bos_token against the template", { post_processor: begins(256) }, { add_bos_token: false }, 256, false],
    ["nothing", {}, {}, 256, false],
  ])("%s", async (_, change, config, bos, adds) => {
    const { of } = await metadataOf(byteTokenizer(SPECIALS, change), { config: { ...CONFIG, ...config } });
    expect([of("bos_token_id"), of("add_bos_token"), of("add_eos_token")]).toEqual([bos, adds, false]);
  });

  test("never EOS, which add_eos_token puts behind texts that models learn from", async () => {
    const { of } = await metadataOf(byteTokenizer(SPECIALS), { config: { ...CONFIG, add_eos_token: true } });
    expect(of("add_eos_token")).toBe(false);
  });

  test("two tokens before a text are more than a file can say", async () => {
    const { reasons } = await metadataOf(byteTokenizer(SPECIALS, { post_processor: begins(256, 258) }));
    expect(reasons).toEqual(["beginning of a text: expected one token or none, found 2"]);
  });
});

describe("gguf-eos-of-tokenizer: every token that ends a generation here ends it there", () => {
  const keys = ["eos_token_id", "eot_token_id", "eom_token_id"];
  const endsOf = async (specials: string[], eos: number[], ends: number[]) => {
    const generation = { eos_token_id: eos };
    const { of, reasons } = await metadataOf(byteTokenizer(specials), { generation, ends });
    return [...keys.map(of), ...reasons];
  };

  test("the tokenizer's own first, then the config's, then those that llama.cpp knows by name", async () => {
    expect(await endsOf(SPECIALS, [258], [256])).toEqual([257, 256, 258]);
    expect(await endsOf(["<|im_end|>", "<|stop|>", "<|eot|>"], [258, 256], [])).toEqual([257, 258, 256]);
  });

  test("more than three are refused where llama.cpp does not know them by name", async () => {
    expect(await endsOf([...SPECIALS, "<|other|>"], [258], [256, 259])).toEqual([
      ...[undefined, undefined, undefined],
      "end tokens: expected at most 3 that llama.cpp does not know, found 4",
    ]);
    expect(await endsOf([...SPECIALS, "<|im_end|>"], [258], [256, 259])).toEqual([257, 256, 258]);
  });

  test("none at all: llama.cpp would take token 11", async () => {
    const { reasons } = await metadataOf(byteTokenizer(SPECIALS), { config: {} });
    expect(reasons).toEqual([expect.stringContaining("llama.cpp takes token 11 where a file names none")]);
  });
});

describe("gguf-prefix-space: what llama.cpp would cut otherwise is refused by name", () => {
  test.each<[string, object, boolean]>([
    ["gpt-2", LEVEL, false],
    ["smollm", DIGITS, false],
    ["llama-bpe", LLAMA3, true],
    ["smaug-bpe", LLAMA3, false],
  ])("%s has a name", async (name, pre_tokenizer, ignore_merges) => {
    const { of } = await metadataOf(byteTokenizer(SPECIALS, { pre_tokenizer, model: { ignore_merges } }));
    expect(of("pre")).toBe(name);
  });

  const spaced = { ...LEVEL, add_prefix_space: true };
  const [split, level] = LLAMA3.pretokenizers;
  const flagged = (flag: object) => ({
    added_tokens: [{ ...specialToken(256, "<|begin|>"), ...flag }, specialToken(257, "<|stop|>")],
  });
  test.each<[string, TokenizerChanges]>([
    ["pre_tokenizer: add_prefix_space: expected false", { pre_tokenizer: spaced }],
    [
      "pre_tokenizer: add_prefix_space: expected false",
      { pre_tokenizer: { ...DIGITS, pretokenizers: [DIGITS.pretokenizers[0], spaced] } },
    ],
    ["pre_tokenizer: expected that of smollm, gpt-2", { pre_tokenizer: null }],
    [
      "pre_tokenizer: expected that of smollm, gpt-2",
      { pre_tokenizer: { ...LLAMA3, pretokenizers: [{ ...split, behavior: "Removed" }, level] } },
    ],
    ["model.ignore_merges: expected false, as for gpt-2, found true", { model: { ignore_merges: true } }],
    ["normalizer: expected none, found NFC", { normalizer: { type: "NFC" } }],
    ["decoder: expected ByteLevel, found Fuse", { decoder: { type: "Fuse" } }],
    ["model: expected byte-level BPE, found WordLevel", { model: { type: "WordLevel" } }],
    ["model.end_of_word_suffix: expected none, found </w>", { model: { end_of_word_suffix: "</w>" } }],
    ["model.unk_token: expected none, or all 256 bytes", { model: { unk_token: "a", vocab: { a: 0 } } }],
    ["model.merges: expected texts without spaces", { model: { merges: [["a ", "b"]] } }],
    ['none of lstrip, rstrip and single_word, found one for "<|begin|>"', flagged({ lstrip: true })],
    ['none of lstrip, rstrip and single_word, found one for "<|begin|>"', flagged({ single_word: true })],
  ])("%s", async (reason, change) => {
    const { reasons } = await metadataOf(byteTokenizer(SPECIALS, change));
    expect(reasons).toEqual([expect.stringContaining(reason)]);
  });
});

test("tokens without a row are left out, rows without a token get a name of their own", async () => {
  const { of, reasons } = await metadataOf(byteTokenizer([...SPECIALS, "[PAD259]", "[EXTRA]"], {}));
  expect(reasons).toEqual([]);
  expect(of("tokens")).toHaveLength(260);
  const renamed = await metadataOf(byteTokenizer(["[PAD258]", "<|stop|>"]));
  expect(Array.from(renamed.of("tokens") as string[]).slice(256)).toEqual([
    "[PAD258]",
    "<|stop|>",
    "[PAD258]_",
    "[PAD259]",
  ]);
  expect(Array.from(renamed.of("token_type") as number[]).slice(255)).toEqual([1, 3, 3, 5, 5]);
});
