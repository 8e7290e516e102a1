import { z } from "zod";
import { UserError } from "../../errors.ts";
import { parseWith } from "../../formats/files.ts";
import type { GgufValue } from "../../formats/gguf/metadata.ts";
import type { DecoderSpec } from "../decoder-spec.ts";
import type { TokenizerFiles } from "../tokenizer-files.ts";

/** Kinds of tokens by their numbers in llama.cpp. */
const TOKEN_TYPES = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

const id = z.number().int().nonnegative();

/** A byte-level BPE tokenizer, the only kind that is written. */
const BytePairTokenizer = z.looseObject({
  model: z.looseObject({
    type: z.literal("BPE"),
    vocab: z.record(z.string(), id),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()]).transform((pair) => pair.join(" "))])),
  }),
  pre_tokenizer: z.unknown(),
  added_tokens: z.array(z.looseObject({ id, content: z.string(), special: z.boolean().optional() })),
});

const byteLevel = (regex: boolean) =>
  z.looseObject({ type: z.literal("ByteLevel"), use_regex: z.literal(regex).optional() });
const sequence = (first: z.ZodType, second: z.ZodType) =>
  z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.tuple([first, second]) });

/** How Llama 3 cuts text before the merges. */
const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/**
 * llama.cpp names the ways to cut text before the merges instead of describing them; these are told apart by their
 * form.
 */
const PRE_TOKENIZERS: readonly { readonly name: string; readonly form: z.ZodType }[] = [
  {
    name: "smollm",
    form: sequence(z.looseObject({ type: z.literal("Digits"), individual_digits: z.literal(true) }), byteLevel(true)),
  },
  { name: "gpt-2", form: byteLevel(true) },
  {
    name: "llama-bpe",
    form: sequence(
      z.looseObject({ type: z.literal("Split"), pattern: z.looseObject({ Regex: z.literal(LLAMA3_PATTERN) }) }),
      byteLevel(false),
    ),
  },
];

/** The tokenizer as llama.cpp reads it. Throws UserError GGUF or BAD_FIELD for a kind that is not written. */
export function tokenizerMetadata(files: TokenizerFiles, spec: DecoderSpec, label: string): [string, GgufValue][] {
  const { model, pre_tokenizer, added_tokens } = parseWith(
    BytePairTokenizer,
    files.tokenizerJson,
    `${label}: tokenizer.json`,
  );
  const pre = PRE_TOKENIZERS.find(({ form }) => form.safeParse(pre_tokenizer).success);
  if (!pre) {
    const known = PRE_TOKENIZERS.map(({ name }) => name).join(", ");
    throw new UserError("GGUF", `${label}: tokenizer.json: pre_tokenizer: expected that of ${known}, found another`);
  }
  const tokens = Array.from({ length: spec.vocabSize }, (_, i) => `[PAD${i}]`);
  const types = Array.from({ length: spec.vocabSize }, (): number => TOKEN_TYPES.unused);
  const name = (place: number, token: string, type: number) => {
    if (place >= spec.vocabSize)
      throw new UserError("GGUF", `${label}: token ${place}: expected below ${spec.vocabSize}`);
    tokens[place] = token;
    types[place] = type;
  };
  for (const [token, place] of Object.entries(model.vocab)) name(place, token, TOKEN_TYPES.normal);
  for (const { id: place, content, special } of added_tokens) {
    name(place, content, special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  }
  const optional = (key: string, value: GgufValue | null): [string, GgufValue][] => (value ? [[key, value]] : []);
  return [
    ["tokenizer.ggml.model", { kind: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { kind: "string", value: pre.name }],
    ["tokenizer.ggml.tokens", { kind: "array", of: "string", value: tokens }],
    ["tokenizer.ggml.token_type", { kind: "array", of: "int32", value: types }],
    ["tokenizer.ggml.merges", { kind: "array", of: "string", value: model.merges }],
    ...optional("tokenizer.ggml.bos_token_id", idValue(spec.bosToken)),
    ...optional("tokenizer.ggml.eos_token_id", idValue(spec.eosTokens[0] ?? null)),
    ["tokenizer.ggml.add_bos_token", { kind: "bool", value: files.addBos ?? false }],
    ...optional(
      "tokenizer.chat_template",
      files.chatTemplate === null ? null : { kind: "string", value: files.chatTemplate },
    ),
  ];
}

function idValue(value: number | null): GgufValue | null {
  return value === null ? null : { kind: "uint32", value };
}

/** Of a model without a tokenizer: llama.cpp then takes ids only. */
export const NO_TOKENIZER: readonly [string, GgufValue][] = [
  ["tokenizer.ggml.model", { kind: "string", value: "no_vocab" }],
];
