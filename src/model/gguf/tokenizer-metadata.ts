import type { GgufValue } from "../../formats/gguf/metadata.ts";
import { byteLetters } from "../byte-letters.ts";
import type { DecoderSpec } from "../decoder-spec.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { TokenizerFiles } from "../tokenizer-files.ts";
import { preTokenizerName } from "./pre-tokenizers.ts";

/** A model's tokenizer: its files, and what they mean. */
export interface ExportedTokenizer {
  readonly files: TokenizerFiles;
  readonly tokenizer: Tokenizer;
}

/** The metadata, or why llama.cpp would not read the same ids of a text: "file: what: expected …, found …". */
export type TokenizerMetadata =
  | { readonly entries: readonly [string, GgufValue][]; readonly reasons: readonly [] }
  | { readonly entries: null; readonly reasons: readonly string[] };

/** Of a model without a tokenizer: llama.cpp then takes ids only. */
export const NO_TOKENIZER: TokenizerMetadata = {
  entries: [["tokenizer.ggml.model", { kind: "string", value: "no_vocab" }]],
  reasons: [],
};

/** Kinds of tokens by their numbers in llama.cpp. */
const TOKEN_TYPES = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** Keys that name tokens which end a generation, in the order in which they are used. */
const END_KEYS = ["eos_token_id", "eot_token_id", "eom_token_id"];

/** Texts of tokens that end a generation in llama.cpp, whatever a file says (llama-vocab.cpp). */
const KNOWN_ENDS: ReadonlySet<string> = new Set([
  ...["<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>"],
  ...["<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>"],
  ...["<end_of_utterance>", "<eos>", "<｜end▁of▁sentence｜>"],
]);

/** The tokenizer as llama.cpp reads it; what it would read otherwise is a reason. */
export function tokenizerMetadata(
  { files, tokenizer }: ExportedTokenizer,
  spec: Pick<DecoderSpec, "vocabSize" | "eosTokens">,
): TokenizerMetadata {
  const { model, added, tokenizerJson } = files;
  const json: Readonly<Record<string, unknown>> = { ...tokenizerJson };
  const { type, merges = [], ignore_merges = false, end_of_word_suffix } = model.libraryModel;
  if (type !== "BPE")
    return { entries: null, reasons: [`tokenizer.json: model: expected byte-level BPE, found ${type}`] };
  const reasons: string[] = [];
  const demand = (isMet: boolean, reason: string) => {
    if (!isMet) reasons.push(reason);
  };
  const pre = preTokenizerName(json.pre_tokenizer, ignore_merges === true);
  if ("reason" in pre) reasons.push(`tokenizer.json: ${pre.reason}`);
  const [normalizer, decoder] = [kindOf(json.normalizer), kindOf(json.decoder)];
  demand(normalizer === "none", `tokenizer.json: normalizer: expected none, found ${normalizer}`);
  demand(decoder === "ByteLevel", `tokenizer.json: decoder: expected ByteLevel, found ${decoder}`);
  demand(!end_of_word_suffix, `tokenizer.json: model.end_of_word_suffix: expected none, found ${end_of_word_suffix}`);
  const lacks =
    model.unknownToken !== null && byteLetters().some((letter) => model.vocabulary.idOf(letter) === undefined);
  demand(!lacks, "tokenizer.json: model.unk_token: expected none, or all 256 bytes in the vocabulary, found neither");
  const spaced = merges.find((pair) => pair.some((half) => half.includes(" ")));
  demand(!spaced, `tokenizer.json: model.merges: expected texts without spaces, found ${JSON.stringify(spaced)}`);
  const strict = added.find(({ lstrip, rstrip, single_word }) => lstrip || rstrip || single_word);
  const flags = "added_tokens: expected none of lstrip, rstrip and single_word";
  demand(!strict, `tokenizer.json: ${flags}, found one for ${JSON.stringify(strict?.content)}`);
  const { beginning } = tokenizer;
  demand(beginning.length <= 1, `beginning of a text: expected one token or none, found ${beginning.length}`);

  const { tokens, types } = tokenTable(files, spec.vocabSize);
  const ends = endTokens(tokenizer, spec);
  demand(ends.length > 0, "end token: expected one (llama.cpp takes token 11 where a file names none), found none");
  const [isKnown, most] = [(id: number) => KNOWN_ENDS.has(tokens[id]), END_KEYS.length];
  const [first, ...others] = ends;
  const unknown = [first, ...others.filter((id) => !isKnown(id))];
  const found = unknown.length;
  demand(found <= most, `end tokens: expected at most ${most} that llama.cpp does not know, found ${found}`);
  const named = [...unknown, ...others.filter(isKnown)];
  if (reasons.length > 0 || "reason" in pre) return { entries: null, reasons };

  const ids = new Map(END_KEYS.map((key, i) => [key, named[i]]));
  ids.set("bos_token_id", beginning[0] ?? tokenizer.bosToken ?? undefined);
  const entries: [string, GgufValue][] = [
    ["tokenizer.ggml.model", { kind: "string", value: "gpt2" }],
    ["tokenizer.ggml.pre", { kind: "string", value: pre.name }],
    ["tokenizer.ggml.tokens", { kind: "array", of: "string", value: tokens }],
    ["tokenizer.ggml.token_type", { kind: "array", of: "int32", value: types }],
    ["tokenizer.ggml.merges", { kind: "array", of: "string", value: merges.map((pair) => pair.join(" ")) }],
    ["tokenizer.ggml.add_bos_token", { kind: "bool", value: beginning.length > 0 }],
    ["tokenizer.ggml.add_eos_token", { kind: "bool", value: false }],
  ];
  for (const [key, id] of ids) {
    if (id !== undefined) entries.push([`tokenizer.ggml.${key}`, { kind: "uint32", value: id }]);
  }
  const { chatTemplate } = tokenizer;
  if (chatTemplate !== null) entries.push(["tokenizer.chat_template", { kind: "string", value: chatTemplate }]);
  return { entries, reasons: [] };
}

/** Texts and kinds of all ids. Tokens without a row are left out: no text may use them. */
function tokenTable({ model, added }: TokenizerFiles, rows: number): { tokens: string[]; types: number[] } {
  const { texts, ids } = model.vocabulary;
  const tokens = new Array<string | undefined>(rows).fill(undefined);
  const types = new Array<number>(rows).fill(TOKEN_TYPES.unused);
  const put = (id: number, text: string, type: number) => {
    if (id >= rows) return;
    tokens[id] = text;
    types[id] = type;
  };
  for (const [i, id] of ids.entries()) put(id, texts[i], TOKEN_TYPES.normal);
  for (const { id, content, special } of added) {
    put(id, content, special ? TOKEN_TYPES.control : TOKEN_TYPES.userDefined);
  }
  // llama.cpp ends the process at two tokens of one text.
  const taken = new Set(tokens);
  const filler = (id: number): string => {
    let text = `[PAD${id}]`;
    while (taken.has(text)) text += "_";
    return text;
  };
  return { tokens: tokens.map((text, id) => text ?? filler(id)), types };
}

/** Ids that end a generation here, the tokenizer's own first. */
function endTokens({ eosToken, eosTokens }: Tokenizer, spec: Pick<DecoderSpec, "eosTokens">): number[] {
  return [...new Set([...(eosToken === null ? [] : [eosToken]), ...spec.eosTokens, ...eosTokens])];
}

function kindOf(part: unknown): string {
  if (part === null || part === undefined) return "none";
  return typeof part === "object" && "type" in part ? String(part.type) : typeof part;
}
