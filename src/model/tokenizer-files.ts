import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { nullOn, UserError } from "../errors.ts";
import { parseJsonBytes, parseWith, readFileBytes } from "../formats/files.ts";
import { AddedToken, AddedTokensDecoder, AddedTokensFile, joinAddedTokens, tokenId } from "./added-tokens.ts";
import { templateBeginning } from "./tokenizer-beginning.ts";
import { readTokenizerModel, type TokenizerModel } from "./tokenizer-model.ts";

/** Files that a tokenizer may consist of, all of which an artifact must carry. */
const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "chat_template.jinja",
  "generation_config.json",
  "added_tokens.json",
] as const;
type TokenizerFile = (typeof TOKENIZER_FILES)[number];

/** A special token: its text, or an object with the text inside. */
const tokenText = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .transform((token) => (typeof token === "string" ? token : token.content));

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

const TokenizerJson = z.looseObject({
  added_tokens: z.array(AddedToken).default([]),
  post_processor: z.unknown(),
});

const TokenizerConfig = z.looseObject({
  added_tokens_decoder: AddedTokensDecoder.nullish(),
  add_bos_token: z.boolean().nullish(),
  add_eos_token: z.boolean().nullish(),
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish(),
});

const GenerationConfig = z.looseObject({ eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish() });

/** A file of the tokenizer, by the contents that were read. */
export interface TokenizerFileRecord {
  readonly name: TokenizerFile;
  readonly sha256: string;
}

/** Which files count. */
export interface TokenizerFilesOptions {
  /** Those of an artifact that its manifest lists; default: all that are there. */
  readonly listed?: readonly string[] | undefined;
}

/** The tokenizer files of a folder, read and checked. */
export interface TokenizerFiles {
  readonly folder: string;
  /** The files that are there. */
  readonly present: readonly TokenizerFileRecord[];
  /** Parsed `tokenizer.json`. */
  readonly tokenizerJson: object;
  readonly model: TokenizerModel;
  /** Tokens beside the model's, of all files. */
  readonly added: readonly AddedToken[];
  /** Ids that the post-processor of `tokenizer.json` puts before a text. */
  readonly templateBeginning: readonly number[];
  /** `bos_token`, `eos_token`, … -> text, as chat templates know them. */
  readonly specialTexts: Readonly<Record<string, string>>;
  readonly additionalSpecialTexts: readonly string[];
  /** `add_bos_token`; null where the files do not say. */
  readonly addBos: boolean | null;
  readonly chatTemplate: string | null;
  /** `eos_token_id` of generation_config.json. */
  readonly generationEosIds: readonly number[];
}

/**
 * Reads the tokenizer files of a checkpoint or artifact. UserError where tokenizer.json is missing, a file is not what
 * it should be, or two of them contradict each other.
 */
export async function readTokenizerFiles(
  folder: string,
  { listed = TOKENIZER_FILES }: TokenizerFilesOptions = {},
): Promise<TokenizerFiles> {
  const found = new Map<TokenizerFile, Uint8Array>();
  for (const name of TOKENIZER_FILES.filter((known) => listed.includes(known))) {
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

  const tokenizerJson = checked("tokenizer.json", TokenizerJson);
  const model = readTokenizerModel(tokenizerJson, path.join(folder, "tokenizer.json"));
  const configJson = json("tokenizer_config.json");
  const config = checked("tokenizer_config.json", TokenizerConfig, configJson);
  const special = {
    ...nonNull(checked("special_tokens_map.json", SpecialTokens)),
    ...nonNull(checked("tokenizer_config.json", SpecialTokens, configJson)),
  };
  const specialTexts = namedTexts(special);
  const additionalSpecialTexts = special.additional_special_tokens ?? [];
  const eos = checked("generation_config.json", GenerationConfig).eos_token_id ?? [];
  const template = found.get("chat_template.jinja");
  return {
    folder,
    present: [...found].map(([name, bytes]) => ({
      name,
      sha256: createHash("sha256").update(bytes).digest("hex"),
    })),
    tokenizerJson,
    model,
    added: joinAddedTokens({
      ...{ folder, vocabulary: model.vocabulary, listed: tokenizerJson.added_tokens },
      decoder: config.added_tokens_decoder ?? {},
      // The older of the two; transformers does not look at it beside the other.
      file: config.added_tokens_decoder ? {} : checked("added_tokens.json", AddedTokensFile),
      specialTexts: new Set([...Object.values(specialTexts), ...additionalSpecialTexts]),
    }),
    templateBeginning: templateBeginning(tokenizerJson.post_processor, path.join(folder, "tokenizer.json")),
    specialTexts,
    additionalSpecialTexts,
    addBos: config.add_bos_token ?? null,
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
