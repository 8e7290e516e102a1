import path from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { showName } from "../formats/safetensors/index.ts";

/** Largest id that a vocabulary may claim: lists of that length are made from it. */
export const MAX_TOKEN_ID = 2 ** 24;
/** An id of a token. */
export const tokenId = z.number().int().min(0).max(MAX_TOKEN_ID);

const flags = {
  special: z.boolean().default(false),
  lstrip: z.boolean().optional(),
  rstrip: z.boolean().optional(),
  normalized: z.boolean().optional(),
  single_word: z.boolean().optional(),
};

/** A token beside the model's vocabulary, as `tokenizer.json` lists it. */
export const AddedToken = z.looseObject({ id: tokenId, content: z.string(), ...flags });
export type AddedToken = z.infer<typeof AddedToken>;

/** `added_tokens_decoder` of `tokenizer_config.json`: id -> token. */
export const AddedTokensDecoder = z.record(
  z.string().regex(/^\d{1,8}$/, "expected an id"),
  z.looseObject({ content: z.string(), ...flags }),
);

/** `added_tokens.json`: token -> id. */
export const AddedTokensFile = z.record(z.string(), tokenId);

/** The tokens of a tokenizer's model: text i has id i of `ids`. */
export interface Vocabulary {
  readonly texts: readonly string[];
  readonly ids: readonly number[];
  idOf(text: string): number | undefined;
}

/** Where tokens are listed besides. */
export interface TokenLists {
  readonly folder: string;
  readonly vocabulary: Vocabulary;
  /** `added_tokens` of `tokenizer.json`. */
  readonly listed: readonly AddedToken[];
  readonly decoder: z.infer<typeof AddedTokensDecoder>;
  readonly file: z.infer<typeof AddedTokensFile>;
  /** Texts that the files name as special (`eos_token`, …). */
  readonly specialTexts: ReadonlySet<string>;
}

/**
 * The added tokens of all files, as transformers joins them: those of `tokenizer.json`, then those that only
 * `tokenizer_config.json` or `added_tokens.json` has. Throws UserError TOKEN_CLASH where one text has two ids or one id
 * two texts.
 */
export function joinAddedTokens(lists: TokenLists): AddedToken[] {
  const { folder, vocabulary, listed, decoder, file, specialTexts } = lists;
  const vocabularyFile = path.join(folder, "tokenizer.json");
  const byText = new Map<string, AddedToken>();
  const byId = new Map<number, string>();
  const add = (token: AddedToken, where: string) => {
    const { content, id } = token;
    const known = byText.get(content)?.id ?? vocabulary.idOf(content) ?? id;
    const holder = byId.get(id) ?? content;
    if (known !== id) throw clash(path.join(folder, where), `id ${known} for ${showName(content)}`, `id ${id}`);
    if (holder !== content)
      throw clash(path.join(folder, where), `${showName(holder)} for id ${id}`, showName(content));
    byId.set(id, content);
    if (!byText.has(content)) byText.set(content, token);
  };
  for (const token of listed) add(token, "tokenizer.json: added_tokens");
  for (const [id, token] of Object.entries(decoder)) {
    add({ ...token, id: Number(id) }, "tokenizer_config.json: added_tokens_decoder");
  }
  for (const [content, id] of Object.entries(file)) {
    const special = specialTexts.has(content);
    add({ id, content, special, normalized: !special }, "added_tokens.json");
  }
  for (const [i, id] of vocabulary.ids.entries()) {
    const text = vocabulary.texts[i];
    const other = byId.get(id) ?? text;
    if (other !== text)
      throw clash(vocabularyFile, `${showName(text)} for id ${id}, as in model.vocab`, showName(other));
  }
  return [...byText.values()];
}

function clash(where: string, expected: string, found: string): UserError {
  return new UserError(
    "TOKEN_CLASH",
    `${where}: expected ${expected}, found ${found}`,
    "the tokenizer's files contradict each other: take all of them from one model",
  );
}
