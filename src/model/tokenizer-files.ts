import path from "node:path";
import { z } from "zod";
import { nullOn, UserError } from "../errors.ts";
import { parseJsonBytes, parseWith, readFileBytes } from "../formats/files.ts";

/** Files that a tokenizer may consist of, all of which an artifact must carry. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "generation_config.json",
] as const;
type TokenizerFile = (typeof TOKENIZER_FILES)[number];

/** Largest id that a vocabulary may claim: lists of that length are made from it. */
const MAX_TOKEN_ID = 2 ** 24;
const tokenId = z.number().int().min(0).max(MAX_TOKEN_ID);

/** A special token: its text, or an object with the text inside. */
const tokenText = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .transform((token) => (typeof token === "string" ? token : token.content));

/**
 * The vocabulary, an object of ids or a list; only its largest id matters here. Looked at in place: a schema of records
 * would copy some 50,000 entries.
 */
const largestVocabId = z.unknown().transform((vocab, context): number => {
  const refuse = (message: string, path: string[] = []) => context.addIssue({ code: "custom", message, path });
  if (Array.isArray(vocab)) {
    if (vocab.length > MAX_TOKEN_ID) refuse(`expected at most ${MAX_TOKEN_ID} tokens, found ${vocab.length}`);
    return vocab.length - 1;
  }
  if (typeof vocab !== "object" || vocab === null) {
    refuse("expected an object of ids or a list of tokens");
    return -1;
  }
  let largest = -1;
  for (const [token, id] of Object.entries(vocab)) {
    if (!Number.isInteger(id) || id < 0 || id > MAX_TOKEN_ID) {
      refuse(`expected an id from 0 to ${MAX_TOKEN_ID}, found ${JSON.stringify(id)}`, [token]);
      return -1;
    }
    largest = Math.max(largest, id);
  }
  return largest;
});

const TokenizerJson = z.looseObject({
  model: z.looseObject({ vocab: largestVocabId }),
  added_tokens: z
    .array(z.looseObject({ id: tokenId, content: z.string(), special: z.boolean().optional() }))
    .optional(),
});

const SPECIAL_NAMES = [
  "bos_token",
  "eos_token",
  "unk_token",
  "pad_token",
  "sep_token",
  "cls_token",
  "mask_token",
] as const;
const specialTexts = Object.fromEntries(SPECIAL_NAMES.map((name) => [name, tokenText.nullish()]));
const SpecialTokens = z.looseObject({ ...specialTexts, additional_special_tokens: z.array(tokenText).nullish() });

const TokenizerConfig = z.looseObject({
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
});

const GenerationConfig = z.looseObject({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() });

/** The tokenizer files of a folder, read and checked. */
export interface TokenizerFiles {
  /** Names of the files that are there. */
  readonly present: readonly string[];
  /** Parsed `tokenizer.json` and `tokenizer_config.json` ({} where absent), as the library wants them. */
  readonly tokenizerJson: object;
  readonly configJson: object;
  /** Largest id of the vocabulary and of the added tokens, plus 1. */
  readonly vocabSize: number;
  /** Ids of added tokens that are marked special. */
  readonly specialIds: readonly number[];
  /** `bos_token`, `eos_token`, … -> text, as chat templates know them. */
  readonly specialTexts: Readonly<Record<string, string>>;
  readonly additionalSpecialTexts: readonly string[];
  /** null where the files do not say. */
  readonly addBos: boolean | null;
  readonly addEos: boolean | null;
  readonly chatTemplate: string | null;
  /** `eos_token_id` of generation_config.json. */
  readonly generationEosIds: readonly number[];
}

/**
 * Reads the tokenizer files of a checkpoint or artifact. Special tokens beyond the embedding's `rows` are left out:
 * models of text and more (Gemma 3) give theirs to the text part alone too. UserError where tokenizer.json is missing
 * or a file is not what it should be.
 */
export async function readTokenizerFiles(folder: string, rows = Number.POSITIVE_INFINITY): Promise<TokenizerFiles> {
  const found = new Map<string, Uint8Array>();
  for (const name of TOKENIZER_FILES) {
    const bytes = await readIfPresent(path.join(folder, name));
    if (bytes) found.set(name, bytes);
  }
  if (!found.has("tokenizer.json")) throw missingTokenizer(folder);

  const json = (name: TokenizerFile): unknown => {
    const bytes = found.get(name);
    return bytes ? parseJsonBytes(bytes, path.join(folder, name)) : {};
  };
  const checked = <T>(name: TokenizerFile, schema: z.ZodType<T>, value = json(name)): T =>
    parseWith(schema, value, path.join(folder, name));

  const tokenizerJson = json("tokenizer.json");
  const configJson = json("tokenizer_config.json");
  const tokenizer = checked("tokenizer.json", TokenizerJson, tokenizerJson);
  const config = checked("tokenizer_config.json", TokenizerConfig, configJson);
  const special = {
    ...nonNull(checked("special_tokens_map.json", SpecialTokens)),
    ...nonNull(checked("tokenizer_config.json", SpecialTokens, configJson)),
  };
  const added = (tokenizer.added_tokens ?? []).filter((token) => !(token.special && token.id >= rows));
  const eos = checked("generation_config.json", GenerationConfig).eos_token_id ?? [];
  const template = found.get("chat_template.jinja");
  return {
    present: [...found.keys()],
    tokenizerJson: { ...asObject(tokenizerJson), added_tokens: added },
    configJson: asObject(configJson),
    vocabSize: 1 + added.reduce((largest, { id }) => Math.max(largest, id), tokenizer.model.vocab),
    specialIds: added.flatMap((token) => (token.special ? [token.id] : [])),
    specialTexts: namedTexts(special),
    additionalSpecialTexts: special.additional_special_tokens ?? [],
    addBos: config.add_bos_token ?? null,
    addEos: config.add_eos_token ?? null,
    chatTemplate: template ? new TextDecoder().decode(template) : defaultTemplate(config.chat_template ?? null),
    generationEosIds: Array.isArray(eos) ? eos : [eos],
  };
}

function readIfPresent(file: string): Promise<Uint8Array | null> {
  return nullOn("FILE_NOT_FOUND", () => readFileBytes(file));
}

function missingTokenizer(folder: string): UserError {
  return new UserError(
    "TOKENIZER_MISSING",
    `${path.join(folder, "tokenizer.json")}: expected the tokenizer, found no such file`,
    "save it in the fast form: AutoTokenizer.from_pretrained(…).save_pretrained(folder) in Python's transformers",
  );
}

/** The same object without fields that are null or undefined. */
function nonNull<T extends object>(value: T): Partial<T> {
  const kept: Partial<T> = { ...value };
  for (const key in kept) if (kept[key] === null || kept[key] === undefined) delete kept[key];
  return kept;
}

function namedTexts(special: object): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, text] of Object.entries(special)) {
    if (SPECIAL_NAMES.some((known) => known === name) && typeof text === "string") texts[name] = text;
  }
  return texts;
}

/** The template, or of several the one that is used when none is asked for. */
function defaultTemplate(template: string | readonly { name: string; template: string }[] | null): string | null {
  if (template === null || typeof template === "string") return template;
  return template.find(({ name }) => name === "default")?.template ?? null;
}

function asObject(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
