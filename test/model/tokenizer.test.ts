import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import { loadTokenizer } from "../../src/model/tokenizer.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** A folder with the given files; objects become JSON. */
function folderWith(files: Record<string, unknown>): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-tokenizer-"));
  folders.push(folder);
  for (const [name, value] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), typeof value === "string" ? value : JSON.stringify(value));
  }
  return folder;
}

const added = (id: number, content: string, special = true) => ({
  id,
  content,
  special,
  normalized: false,
  lstrip: false,
  rstrip: false,
  single_word: false,
});

/** Words a, b, ab; the template puts <s> before every text. */
const TINY = {
  version: "1.0",
  added_tokens: [added(0, "<s>"), added(1, "</s>"), added(9, "<x>", false)],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [],
    special_tokens: { "<s>": { id: "<s>", ids: [0], tokens: ["<s>"] } },
  },
  decoder: { type: "Fuse" },
  model: { type: "BPE", unk_token: null, vocab: { "<s>": 0, "</s>": 1, a: 2, b: 3, ab: 4 }, merges: ["a b"] },
};
const SPECIAL = TINY.post_processor.special_tokens;
const CONFIG = { bos_token: "<s>", eos_token: { content: "</s>" } };

const spec = (vocabSize: number, bosToken: number | null = null) => ({ vocabSize, bosToken });

async function errorOf(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  );
  if (!(error instanceof UserError)) throw new Error(`expected a UserError, found ${String(error)}`);
  expect(error.message).not.toContain("\n");
  return error;
}

describe("loadTokenizer", () => {
  it("says what the files hold", async () => {
    const folder = folderWith({
      "tokenizer.json": TINY,
      "tokenizer_config.json": { ...CONFIG, chat_template: "old" },
      "generation_config.json": { eos_token_id: [4, 1] },
      "chat_template.jinja": "new",
      "vocab.json": {},
    });
    const tokenizer = await loadTokenizer(folder);
    expect(tokenizer).toMatchObject({ label: folder, vocabSize: 10, bosToken: 0, eosToken: 1, eosTokens: [4, 1] });
    expect(tokenizer.chatTemplate).toBe("new");
    expect(tokenizer.specialTexts).toEqual({ bos_token: "<s>", eos_token: "</s>" });
    expect(tokenizer.files.map(({ name }) => name).sort()).toEqual([
      "chat_template.jinja",
      "generation_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
  });

  it("works from tokenizer.json alone, and takes names of tokens from special_tokens_map.json", async () => {
    const alone = await loadTokenizer(folderWith({ "tokenizer.json": TINY }));
    expect(alone).toMatchObject({ bosToken: 0, eosToken: null, eosTokens: [], chatTemplate: null });
    const mapped = folderWith({ "tokenizer.json": TINY, "special_tokens_map.json": { bos_token: "<s>" } });
    expect((await loadTokenizer(mapped)).bosToken).toBe(0);
  });

  it("takes the template named default of several", async () => {
    const chat_template = [
      { name: "tool_use", template: "T" },
      { name: "default", template: "D" },
    ];
    const tokenizer = await loadTokenizer(
      folderWith({ "tokenizer.json": TINY, "tokenizer_config.json": { chat_template } }),
    );
    expect(tokenizer.chatTemplate).toBe("D");
  });

  it("encodes with and without special tokens, and knows them inside text", async () => {
    const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": TINY, "tokenizer_config.json": CONFIG }));
    expect([...tokenizer.encode("aba")]).toEqual([0, 4, 2]);
    expect([...tokenizer.encode("aba", { specialTokens: false })]).toEqual([4, 2]);
    expect([...tokenizer.encode("", { specialTokens: false })]).toEqual([]);
    expect([...tokenizer.encode("a</s>b<x>", { specialTokens: false })]).toEqual([2, 1, 3, 9]);
  });

  it("lets add_bos_token overrule the template", async () => {
    const withConfig = async (change: object) => {
      const folder = folderWith({ "tokenizer.json": TINY, "tokenizer_config.json": { ...CONFIG, ...change } });
      return [...(await loadTokenizer(folder)).encode("ab")];
    };
    expect(await withConfig({ add_bos_token: false })).toEqual([4]);
    expect(await withConfig({ add_bos_token: true })).toEqual([0, 4]);
    expect(await withConfig({ add_bos_token: null })).toEqual([0, 4]);
  });

  it("prompt-ends-with-eos: puts nothing behind a text, whatever says so", async () => {
    const both = { ...TINY.post_processor, special_tokens: { ...SPECIAL, "</s>": { ...SPECIAL["<s>"], ids: [1] } } };
    const single = [...TINY.post_processor.single, { SpecialToken: { id: "</s>", type_id: 0 } }];
    const template = { ...TINY, post_processor: { ...both, single } };
    const bert = { ...TINY, post_processor: { type: "BertProcessing", cls: ["<s>", 0], sep: ["</s>", 1] } };
    for (const json of [TINY, template, bert]) {
      const config = { ...CONFIG, add_eos_token: true };
      const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": json, "tokenizer_config.json": config }));
      expect([...tokenizer.encode("ab")]).toEqual([0, 4]);
      expect(tokenizer.beginning).toEqual([0]);
    }
  });

  it("begins a text with BOS of the config where add_bos_token has no other, and says where there is none", async () => {
    const json = { ...TINY, post_processor: null };
    const folder = folderWith({ "tokenizer.json": json, "tokenizer_config.json": { add_bos_token: true } });
    expect((await loadTokenizer(folder, { spec: spec(10, 1) })).beginning).toEqual([1]);
    const without = await loadTokenizer(folder, { spec: spec(10) });
    expect([without.beginning, without.remarks.join()]).toEqual([[], expect.stringContaining("add_bos_token is true")]);
  });

  it("takes an empty name of a special token for none", async () => {
    const config = { bos_token: "", eos_token: "" };
    const json = { ...TINY, post_processor: null };
    const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": json, "tokenizer_config.json": config }));
    expect(tokenizer).toMatchObject({ bosToken: null, eosToken: null, eosTokens: [], remarks: [] });
    expect([...tokenizer.encode("ab")]).toEqual([4]);
  });

  it("decodes: special tokens kept or left out, unknown ids give nothing", async () => {
    const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": TINY, "tokenizer_config.json": CONFIG }));
    expect(tokenizer.decode([0, 4, 9, 1])).toBe("<s>ab<x></s>");
    expect(tokenizer.decode(Int32Array.of(0, 4, 9, 1), { skipSpecial: true })).toBe("ab<x>");
    expect(tokenizer.decode([4, 7, 4000, 2])).toBe("aba");
    expect(tokenizer.decode([])).toBe("");
    expect(tokenizer.decode([0], { skipSpecial: true })).toBe("");
  });

  it("keeps spaces before punctuation though an old config asks to clean up", async () => {
    const vocab = { ...TINY.model.vocab, " .": 5 };
    const json = { ...TINY, model: { ...TINY.model, vocab } };
    const config = { clean_up_tokenization_spaces: true };
    const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": json, "tokenizer_config.json": config }));
    expect(tokenizer.decode([2, 5])).toBe("a .");
  });
});

describe("bad tokenizer files", () => {
  it("missing: says which file and how to make it", async () => {
    const folder = folderWith({ "vocab.json": {} });
    const error = await errorOf(loadTokenizer(folder));
    expect(error.code).toBe("TOKENIZER_MISSING");
    expect(error.message).toContain(path.join(folder, "tokenizer.json"));
    expect(error.hint).toContain("save_pretrained");
    expect((await errorOf(loadTokenizer(path.join(folder, "nowhere")))).code).toBe("TOKENIZER_MISSING");
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["cut short", { "tokenizer.json": '{"model": {"vo' }, "tokenizer.json"],
    ["not an object", { "tokenizer.json": "7" }, "tokenizer.json"],
    ["without a model", { "tokenizer.json": { ...TINY, model: null } }, "tokenizer.json: model"],
    ["a vocabulary of words", { "tokenizer.json": { ...TINY, model: { ...TINY.model, vocab: { a: "b" } } } }, "vocab"],
    ["a huge id", { "tokenizer.json": { ...TINY, added_tokens: [added(2 ** 40, "<s>")] } }, "added_tokens.0.id"],
    ["an unknown kind", { "tokenizer.json": { ...TINY, decoder: { type: "Morse" } } }, "decoder: expected one of BPE"],
    ["no merges", { "tokenizer.json": { ...TINY, model: { type: "BPE", vocab: { a: 0 } } } }, "model: merges"],
    ["bad config", { "tokenizer.json": TINY, "tokenizer_config.json": { add_bos_token: "yes" } }, "add_bos_token"],
    ["bad token", { "tokenizer.json": TINY, "special_tokens_map.json": { eos_token: 2 } }, "eos_token"],
    ["bad eos", { "tokenizer.json": TINY, "generation_config.json": { eos_token_id: "2" } }, "eos_token_id"],
  ])("%s: one line that names the file", async (_, files, part) => {
    const error = await errorOf(loadTokenizer(folderWith(files)));
    expect(error.message).toContain(part);
    expect(error.message).toMatch(/layerwise-tokenizer-\w+\/\w+\.json: /);
  });
});

describe("token-beyond-embedding: what is not needed is no reason to refuse", () => {
  const files = { "tokenizer.json": TINY, "tokenizer_config.json": CONFIG };
  const beyond = (...tokens: ReturnType<typeof added>[]) =>
    folderWith({ ...files, "tokenizer.json": { ...TINY, added_tokens: [...TINY.added_tokens, ...tokens] } });

  it.each([true, false])(
    "an added token without a row is named, and refused where a text needs it",
    async (special) => {
      const tokenizer = await loadTokenizer(beyond(added(10, "[PAD]", special)), { spec: spec(10) });
      expect(tokenizer.remarks).toEqual([expect.stringMatching(/beyond the 10 rows .*: "\[PAD\]" \(id 10\)$/)]);
      expect([...tokenizer.encode("ab")]).toEqual([0, 4]);
      expect(() => tokenizer.encode("a[PAD]b")).toThrow(/expected tokens below 10 .*, found "\[PAD\]" \(id 10\)/);
    },
  );

  it("a model's own tokens must have rows: the tokenizer is another model's", async () => {
    const error = await errorOf(loadTokenizer(folderWith(files), { spec: spec(4) }));
    expect(error.code).toBe("TOKENIZER_TOO_LARGE");
    expect(error.message).toContain("expected below 4 (rows of the embedding), found 4");
  });

  it("nor do end tokens without a row refuse a model; BOS does, which every text needs", async () => {
    const folder = folderWith({ ...files, "generation_config.json": { eos_token_id: [1, 12] } });
    const tokenizer = await loadTokenizer(folder, { spec: spec(12) });
    expect([tokenizer.eosTokens, tokenizer.remarks.join()]).toEqual([[1], expect.stringContaining("id 12")]);
    expect((await loadTokenizer(folder, { spec: spec(13) })).eosTokens).toEqual([1, 12]);
    const ids = { ...TINY.post_processor, special_tokens: { "<s>": { ...SPECIAL["<s>"], ids: [11] } } };
    const bos = folderWith({ "tokenizer.json": { ...TINY, post_processor: ids } });
    expect((await errorOf(loadTokenizer(bos, { spec: spec(11) }))).code).toBe("TOKEN_WITHOUT_ROW");
  });
});

describe("added-tokens-only-in-config: tokens that tokenizer.json lacks", () => {
  const decoder = { 10: { content: "<|im_start|>", special: true }, 11: { content: "<|im_end|>", special: true } };
  const text = "<|im_start|>ab<|im_end|>";
  const load = async (files: Record<string, unknown>) =>
    loadTokenizer(folderWith({ "tokenizer.json": TINY, ...files }), { spec: spec(12) });

  it("of tokenizer_config.json and of added_tokens.json are tokens", async () => {
    const config = { ...CONFIG, eos_token: "<|im_end|>" };
    const older = { "<|im_start|>": 10, "<|im_end|>": 11 };
    for (const files of [
      { "tokenizer_config.json": { ...config, added_tokens_decoder: decoder } },
      { "tokenizer_config.json": config, "added_tokens.json": older },
    ]) {
      const tokenizer = await load(files);
      expect([...tokenizer.encode(text)]).toEqual([0, 10, 4, 11]);
      expect(tokenizer).toMatchObject({ eosToken: 11, eosTokens: [11], remarks: [] });
      expect(tokenizer.decode([4, 11], { skipSpecial: true })).toBe("ab");
    }
  });

  it("without an id anywhere are named", async () => {
    const files = { "special_tokens_map.json": { eos_token: "<|im_end|>" } };
    const tokenizer = await load(files);
    expect(tokenizer.eosTokens).toEqual([]);
    expect(tokenizer.remarks).toEqual([
      expect.stringMatching(/no file gives .* an id.*: "<\|im_end\|>" \(eos_token\)$/),
    ]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ["another id", { 12: { content: "<x>" } }, 'expected id 9 for "<x>", found id 12'],
    ["another text", { 9: { content: "<y>" } }, 'expected "<x>" for id 9, found "<y>"'],
    [
      "an id of the model's vocabulary",
      { 3: { content: "<y>" } },
      'expected "b" for id 3, as in model.vocab, found "<y>"',
    ],
    ["a text of the model's vocabulary", { 12: { content: "b" } }, 'expected id 3 for "b", found id 12'],
  ])("that contradict tokenizer.json are refused: %s", async (_, added_tokens_decoder, message) => {
    const error = await errorOf(load({ "tokenizer_config.json": { ...CONFIG, added_tokens_decoder } }));
    expect(error.code).toBe("TOKEN_CLASH");
    expect(error.message).toContain(message);
  });

  it("of an added_tokens.json that is older than tokenizer_config.json's list are not looked at", async () => {
    const config = { ...CONFIG, added_tokens_decoder: decoder };
    const tokenizer = await load({ "tokenizer_config.json": config, "added_tokens.json": { "<x>": 3 } });
    expect([...tokenizer.encode(text)]).toEqual([0, 10, 4, 11]);
  });
});
