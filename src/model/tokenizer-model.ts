import { z } from "zod";
import { UserError } from "../errors.ts";
import { parseWith } from "../formats/files.ts";
import { MAX_TOKEN_ID, type Vocabulary } from "./added-tokens.ts";

/** A pair of texts that become one. */
type Merge = readonly [string, string];

/** A model as the library takes it; what is large may be emptied. */
interface LibraryModel {
  readonly type: ModelType;
  vocab: unknown;
  readonly merges?: Merge[] | undefined;
  readonly ignore_merges?: boolean | null | undefined;
  readonly end_of_word_suffix?: string | null | undefined;
}

/** The `model` of a `tokenizer.json`, checked. */
export interface TokenizerModel {
  readonly vocabulary: Vocabulary;
  /** What stands for what the vocabulary lacks; null where there is nothing. */
  readonly unknownToken: string | null;
  /** What the vocabulary lacks is written in the tokens of its bytes, which the library does not do for this kind. */
  readonly bytesOfUnknown: boolean;
  /** The model as the library takes it; its large tables are those of the file. */
  readonly libraryModel: LibraryModel;
}

const ModelType = z.enum(["BPE", "Unigram", "WordPiece", "WordLevel"]);
type ModelType = z.infer<typeof ModelType>;

const flag = z.boolean().nullish();
const vocab = z.unknown();
const text = z.string().nullish();
/** Not a list of schemas, which would copy it. */
const merges = z.custom<unknown[]>((found) => Array.isArray(found), "expected a list");

/** What of a model's fields is looked at here. */
interface ModelFields {
  readonly vocab?: unknown;
  readonly merges?: unknown[] | undefined;
  readonly unk_token?: string | null | undefined;
  readonly byte_fallback?: boolean | null | undefined;
  readonly ignore_merges?: boolean | null | undefined;
  readonly end_of_word_suffix?: string | null | undefined;
}

/** Kinds of models by their names: fields that the library reads, and those that it would read otherwise. */
const MODELS: Readonly<Record<ModelType, z.ZodType<ModelFields>>> = {
  BPE: z.looseObject({
    ...{ vocab, merges, unk_token: text, end_of_word_suffix: text },
    ...{ fuse_unk: flag, byte_fallback: flag, ignore_merges: flag },
    continuing_subword_prefix: z.literal("", "expected none for BPE (not supported)").nullish(),
  }),
  Unigram: z.looseObject({ vocab, unk_id: z.number().int().min(0).nullish(), byte_fallback: flag }),
  WordPiece: z.looseObject({
    ...{ vocab, unk_token: z.string(), continuing_subword_prefix: z.string() },
    max_input_chars_per_word: z.number().int().min(1),
  }),
  WordLevel: z.object({ vocab, unk_token: text }),
};

const Typed = z.looseObject({ type: ModelType.optional() });

/**
 * Reads the model of a `tokenizer.json`. Merges that are strings become pairs: the library would split them into pairs
 * that it keeps as well. Throws UserError for an unknown kind and for fields and tables that make no sense;
 * `file` is for messages.
 */
export function readTokenizerModel(tokenizerJson: object, file: string): TokenizerModel {
  const where = `${file}: model`;
  const json = "model" in tokenizerJson ? tokenizerJson.model : undefined;
  const found = parseWith(Typed, json, where);
  const type = found.type ?? kindOf(found);
  const model = parseWith(MODELS[type], found, where);
  const merges = model.merges && pairMerges(model.merges, `${where}.merges`);
  return {
    vocabulary: readVocabulary(model.vocab, `${where}.vocab`),
    unknownToken: model.unk_token ?? null,
    bytesOfUnknown: type === "Unigram" && model.byte_fallback === true,
    libraryModel: { ...model, type, vocab: model.vocab, merges },
  };
}

/** Files before 2021 do not name the kind. */
function kindOf(model: Readonly<Record<string, unknown>>): ModelType {
  if (Array.isArray(model.vocab)) return "Unigram";
  if ("merges" in model) return "BPE";
  return "continuing_subword_prefix" in model ? "WordPiece" : "WordLevel";
}

/** Without a schema of records, which would copy some 50,000 entries. */
function readVocabulary(found: unknown, where: string): Vocabulary {
  const refuse = (expected: string) => new UserError("BAD_FIELD", `${where}: expected ${expected}`);
  if (Array.isArray(found)) {
    if (!arePieces(found)) throw refuse("pieces with their scores");
    const texts = found.map(([text]) => text);
    const byText = new Map(texts.map((text, id) => [text, id]));
    return { texts, ids: [...texts.keys()], idOf: (text) => byText.get(text) };
  }
  if (!isRecord(found)) throw refuse("an object of ids or a list of pieces");
  const texts = Object.keys(found);
  if (!areIds(found, texts)) throw refuse(`ids from 0 to ${MAX_TOKEN_ID}`);
  const idOf = (text: string) => (Object.hasOwn(found, text) ? found[text] : undefined);
  return { texts, ids: texts.map((text) => found[text]), idOf };
}

function isRecord(found: unknown): found is Readonly<Record<string, unknown>> {
  return typeof found === "object" && found !== null;
}

/** By their texts: Object.values takes three times as long where there are so many. */
function areIds(
  found: Readonly<Record<string, unknown>>,
  texts: readonly string[],
): found is Readonly<Record<string, number>> {
  return texts.every((text) => {
    const id = found[text];
    return typeof id === "number" && Number.isInteger(id) && id >= 0 && id <= MAX_TOKEN_ID;
  });
}

function arePieces(found: readonly unknown[]): found is readonly (readonly [string, number])[] {
  if (found.length > MAX_TOKEN_ID) return false;
  return found.every((piece) => Array.isArray(piece) && typeof piece[0] === "string" && typeof piece[1] === "number");
}

function pairMerges(merges: readonly unknown[], where: string): Merge[] {
  return merges.map((merge, i) => {
    const pair: unknown = typeof merge === "string" ? halvesOf(merge) : merge;
    if (isMerge(pair)) return pair;
    throw new UserError("BAD_FIELD", `${where}.${i}: expected two texts`);
  });
}

/** By hand: splitting at the space takes three times as long, which counts for 150,000 of them. */
function halvesOf(merge: string): Merge | null {
  const at = merge.indexOf(" ");
  return at >= 0 && at === merge.lastIndexOf(" ") ? [merge.slice(0, at), merge.slice(at + 1)] : null;
}

function isMerge(pair: unknown): pair is Merge {
  return Array.isArray(pair) && pair.length === 2 && pair.every((half) => typeof half === "string");
}
