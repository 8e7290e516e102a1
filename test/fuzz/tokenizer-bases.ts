import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { makeCheckpoint } from "./bases.ts";
import { PATTERNS } from "./hostile-values.ts";
import { type Tree, treeOf } from "./tree.ts";

interface Parts {
  readonly normalizer?: unknown;
  readonly pre_tokenizer?: unknown;
  readonly decoder?: unknown;
}

/** Tokenizers in parts, and one model of 83 tokens for them all. */
const { model, cases } = JSON.parse(readFileSync("test/fixtures/tokenizers/parts.json", "utf8")) as {
  readonly model: { readonly vocab: Record<string, number> };
  readonly cases: readonly { readonly change: Parts }[];
};

const PROCESSORS: readonly unknown[] = [
  { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true },
  { type: "RobertaProcessing", sep: ["</s>", 201], cls: ["<s>", 200], trim_offsets: true, add_prefix_space: false },
  {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [200], tokens: ["<s>"] } },
  },
];

const token = (id: number, content: string, special = true) => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: !special, special },
});
const ADDED = [token(200, "<s>"), token(201, "</s>"), token(202, "[INST]", false)];

const words = ["[UNK]", "Once", "upon", "a", "time", "##a", "12"];
const vocabOf = (tokens: readonly string[]) => Object.fromEntries(tokens.map((text, id) => [text, id]));

/** One of each kind of model. */
const MODELS: readonly unknown[] = [
  model,
  { type: "WordLevel", vocab: vocabOf(words), unk_token: "[UNK]" },
  {
    type: "WordPiece",
    vocab: vocabOf(words),
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
  },
  { type: "Unigram", vocab: words.map((text, i) => [text, -i]), unk_id: 0, byte_fallback: false },
];

/** Parts that find patterns of the dictionary. */
export const PATTERN_PARTS: readonly { readonly field: string; readonly part: unknown }[] = PATTERNS.flatMap(
  (Regex) => [
    { field: "pre_tokenizer", part: { type: "Split", pattern: { Regex }, behavior: "Isolated", invert: false } },
    { field: "pre_tokenizer", part: { type: "Split", pattern: { Regex }, behavior: "MergedWithNext", invert: true } },
    { field: "normalizer", part: { type: "Replace", pattern: { Regex }, content: "aa" } },
    { field: "decoder", part: { type: "Replace", pattern: { Regex }, content: " " } },
  ],
);

/** Parts that a mutation may put anywhere. */
export const TOKENIZER_PARTS: readonly Tree[] = [
  ...cases.flatMap(({ change }) => Object.values(change)),
  ...PROCESSORS,
  ...MODELS,
  ...ADDED,
].map(treeOf);

const whole = (parts: Record<string, unknown>) => ({
  ...{ version: "1.0", truncation: null, padding: null, added_tokens: ADDED, normalizer: null, pre_tokenizer: null },
  ...{ post_processor: null, decoder: null, ...parts },
});

const CONFIG: Readonly<Record<string, unknown>> = {
  tokenizer_class: "PreTrainedTokenizerFast",
  bos_token: "<s>",
  eos_token: { content: "</s>", special: true },
  unk_token: null,
  add_bos_token: true,
  add_eos_token: false,
  added_tokens_decoder: { "202": token(202, "[INST]", false) },
  chat_template: "{% for m in messages %}{{ m.content }}{% endfor %}",
  model_max_length: 1e30,
};
const TEMPLATE = `{%- if messages[0]['role'] == 'system' %}{{ messages[0].content | trim }}{% set loop_messages = messages[1:] %}
{%- else %}{% set loop_messages = messages %}{% endif %}
{%- for message in loop_messages %}{% if not loop.first %}{{ ' ' }}{% endif %}
{{- bos_token + '[INST] ' ~ message['content'] | trim + ' [/INST]' }}{% endfor %}{% if add_generation_prompt %}{{ 'A:' }}{% endif %}`;

/**
 * Checkpoints of 256 tokens, one for each kind of tokenizer, with every file that a tokenizer may have. The last one's
 * is GPT-2's without merges, which GGUF files can hold.
 */
export function makeTokenizers(root: string): string[] {
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true };
  const tokenizers = [
    ...MODELS.map((one, i) =>
      whole({ model: one, pre_tokenizer: metaspace, decoder: metaspace, post_processor: PROCESSORS[i % 3] }),
    ),
    ...[5, 30, 60].map((i) => whole({ ...cases[i].change, model, post_processor: PROCESSORS[2] })),
  ];
  const folders = tokenizers.map((tokenizer, i) => {
    const folder = path.join(root, `tokenizer-${i}`);
    makeCheckpoint("llama-tied", folder);
    writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
    writeOthers(folder, CONFIG, { "[INST]": 202 });
    return folder;
  });
  const bytes = path.join(root, "tokenizer-bytes");
  makeCheckpoint("llama-tied", bytes);
  writeOthers(bytes, { ...CONFIG, bos_token: "B", eos_token: "E", added_tokens_decoder: {} }, {});
  return [...folders, bytes];
}

/** The files beside a tokenizer.json. */
function writeOthers(folder: string, config: typeof CONFIG, added: Readonly<Record<string, number>>): void {
  const write = (name: string, value: unknown) => writeFileSync(path.join(folder, name), JSON.stringify(value));
  write("tokenizer_config.json", config);
  write("special_tokens_map.json", { bos_token: config.bos_token, unk_token: null });
  write("generation_config.json", { bos_token_id: 200, eos_token_id: [201], max_length: 128 });
  write("added_tokens.json", added);
  writeFileSync(path.join(folder, "chat_template.jinja"), TEMPLATE);
}
