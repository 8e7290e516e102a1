import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { UserError } from "../../src/errors.ts";
import type { DecoderSpec } from "../../src/model/decoder-spec.ts";
import { checkTokenizerFits, loadTokenizer } from "../../src/model/tokenizer.ts";

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
const CONFIG = { bos_token: "<s>", eos_token: { content: "</s>" } };

const spec = (vocabSize: number): DecoderSpec => ({
  family: "llama",
  vocabSize,
  hiddenSize: 4,
  embeddingScale: 1,
  maxPositions: 8,
  tied: true,
  headBias: false,
  logitFactor: 1,
  blocks: [],
  finalNorm: { kind: "rms", size: 4, eps: 1e-6 },
  bosToken: null,
  eosTokens: [],
});

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
    expect([...tokenizer.files].sort()).toEqual([
      "chat_template.jinja",
      "generation_config.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
  });

  it("works from tokenizer.json alone, and takes names of tokens from special_tokens_map.json", async () => {
    const alone = await loadTokenizer(folderWith({ "tokenizer.json": TINY }));
    expect(alone).toMatchObject({ bosToken: null, eosToken: null, eosTokens: [], chatTemplate: null });
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

  it("lets add_bos_token and add_eos_token overrule the template", async () => {
    const withConfig = async (change: object) => {
      const folder = folderWith({ "tokenizer.json": TINY, "tokenizer_config.json": { ...CONFIG, ...change } });
      return [...(await loadTokenizer(folder)).encode("ab")];
    };
    expect(await withConfig({ add_bos_token: false, add_eos_token: false })).toEqual([4]);
    expect(await withConfig({ add_bos_token: true, add_eos_token: true })).toEqual([0, 4, 1]);
    expect(await withConfig({ add_eos_token: true })).toEqual([0, 4, 1]);
    expect(await withConfig({ add_bos_token: null })).toEqual([0, 4]);
  });

  it("takes an empty name of a special token for none", async () => {
    const config = { bos_token: "", eos_token: "", add_bos_token: true, add_eos_token: true };
    const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": TINY, "tokenizer_config.json": config }));
    expect(tokenizer).toMatchObject({ bosToken: null, eosToken: null, eosTokens: [] });
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
    ["a vocabulary of words", { "tokenizer.json": { ...TINY, model: { type: "BPE", vocab: { a: "b" } } } }, "vocab"],
    ["a huge id", { "tokenizer.json": { ...TINY, added_tokens: [added(2 ** 40, "<s>")] } }, "added_tokens.0.id"],
    ["an unknown kind", { "tokenizer.json": { ...TINY, decoder: { type: "Morse" } } }, "supported kind"],
    ["no merges", { "tokenizer.json": { ...TINY, model: { type: "BPE", vocab: { a: 0 } } } }, "supported kind"],
    ["bad config", { "tokenizer.json": TINY, "tokenizer_config.json": { add_bos_token: "yes" } }, "add_bos_token"],
    ["bad token", { "tokenizer.json": TINY, "special_tokens_map.json": { eos_token: 2 } }, "eos_token"],
    ["bad eos", { "tokenizer.json": TINY, "generation_config.json": { eos_token_id: "2" } }, "eos_token_id"],
  ])("%s: one line that names the file", async (_, files, part) => {
    const error = await errorOf(loadTokenizer(folderWith(files)));
    expect(error.message).toContain(part);
    expect(error.message).toMatch(/layerwise-tokenizer-\w+\/\w+\.json: /);
  });

  it("a tokenizer larger than the embedding is refused with both numbers", async () => {
    const tokenizer = await loadTokenizer(folderWith({ "tokenizer.json": TINY }));
    expect(() => checkTokenizerFits(tokenizer, spec(10))).not.toThrow();
    const error = await errorOf(Promise.resolve().then(() => checkTokenizerFits(tokenizer, spec(9))));
    expect(error.code).toBe("TOKENIZER_TOO_LARGE");
    expect(error.message).toContain("expected below 9 (rows of the embedding), found 9");
  });

  it("leaves special tokens beyond the embedding out: text that spells one is text", async () => {
    const more = { ...TINY, added_tokens: [...TINY.added_tokens, added(10, "aba")] };
    const folder = folderWith({ "tokenizer.json": more });
    const [whole, fitted] = [await loadTokenizer(folder), await loadTokenizer(folder, { rows: 10 })];
    expect([whole.vocabSize, fitted.vocabSize]).toEqual([11, 10]);
    expect([...whole.encode("aba", { specialTokens: false })]).toEqual([10]);
    expect([...fitted.encode("aba", { specialTokens: false })]).toEqual([4, 2]);
    expect(() => checkTokenizerFits(fitted, spec(10))).not.toThrow();
    // A token that is not special is the text's own: the tokenizer is another model's.
    const rest = await loadTokenizer(folder, { rows: 9 });
    expect(() => checkTokenizerFits(rest, spec(9))).toThrow("expected below 9 (rows of the embedding), found 9");
  });

  it("refuses a stop token beyond the embedding, by its file", async () => {
    const files = { "tokenizer.json": TINY, "tokenizer_config.json": CONFIG };
    const folder = folderWith({ ...files, "generation_config.json": { eos_token_id: [1, 12] } });
    const tokenizer = await loadTokenizer(folder);
    const error = await errorOf(Promise.resolve().then(() => checkTokenizerFits(tokenizer, spec(12))));
    expect(error.message).toContain("generation_config.json: eos_token_id: expected below 12");
    expect(() => checkTokenizerFits(tokenizer, spec(13))).not.toThrow();
  });
});
