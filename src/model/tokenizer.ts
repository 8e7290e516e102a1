import path from "node:path";
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "./decoder-spec.ts";
import { readTokenizerFiles, type TokenizerFiles } from "./tokenizer-files.ts";

/** Text to token ids and back, as the checkpoint's tokenizer files say. */
export interface Tokenizer {
  /** Folder of the files, for messages. */
  readonly label: string;
  /** Largest id + 1. */
  readonly vocabSize: number;
  readonly bosToken: number | null;
  readonly eosToken: number | null;
  /** Ids that end a generation: the tokenizer's eos and those of generation_config.json. */
  readonly eosTokens: readonly number[];
  /** Jinja source, or null where the model has none. */
  readonly chatTemplate: string | null;
  /** `bos_token`, `eos_token`, … -> text: what chat templates call them. */
  readonly specialTexts: Readonly<Record<string, string>>;
  /** Names of the files in the folder that an artifact must carry. */
  readonly files: readonly string[];
  /**
   * `specialTokens` (default true): with BOS and EOS where the tokenizer puts them. Text of special tokens becomes
   * their ids.
   */
  encode(text: string, options?: { specialTokens?: boolean }): Int32Array;
  /** Ids outside the vocabulary give nothing. `skipSpecial` (default false) leaves special tokens out. */
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string;
}

/**
 * Loads the tokenizer of a checkpoint or artifact folder, without special tokens beyond the embedding's `rows`;
 * UserError where its files are missing, damaged or of an unknown kind.
 */
export async function loadTokenizer(folder: string, { rows }: { readonly rows?: number } = {}): Promise<Tokenizer> {
  const files = await readTokenizerFiles(folder, rows);
  const library = openLibrary(files, folder);
  const idOf = (text: string | undefined): number | null => (text ? library.token_to_id(text) : null) ?? null;
  const bosToken = idOf(files.specialTexts.bos_token);
  const eosToken = idOf(files.specialTexts.eos_token);
  const special = new Set(files.specialIds);
  for (const text of [...Object.values(files.specialTexts), ...files.additionalSpecialTexts]) {
    const id = idOf(text);
    if (id !== null) special.add(id);
  }
  const frame = frameOf(files, library, bosToken, eosToken);

  return {
    label: folder,
    vocabSize: files.vocabSize,
    bosToken,
    eosToken,
    eosTokens: [...new Set([...files.generationEosIds, ...(eosToken === null ? [] : [eosToken])])],
    chatTemplate: files.chatTemplate,
    specialTexts: files.specialTexts,
    files: files.present,
    encode: (text, { specialTokens = true } = {}) => {
      if (!specialTokens) return toIds(library.encode(text, { add_special_tokens: false }).ids);
      if (!frame) return toIds(library.encode(text).ids);
      return toIds([...frame.before, ...library.encode(text, { add_special_tokens: false }).ids, ...frame.after]);
    },
    decode: (ids, { skipSpecial = false } = {}) => {
      const kept = Array.from(ids).filter(
        (id) => library.id_to_token(id) !== undefined && !(skipSpecial && special.has(id)),
      );
      return kept.length === 0 ? "" : library.decode(kept);
    },
  };
}

/** UserError where the tokenizer names or can make ids that the model's embedding has no row for. */
export function checkTokenizerFits(tokenizer: Tokenizer, spec: DecoderSpec): void {
  const claims: readonly (readonly [file: string, what: string, largest: number])[] = [
    ["tokenizer.json", "largest token id", tokenizer.vocabSize - 1],
    ["generation_config.json", "eos_token_id", Math.max(-1, ...tokenizer.eosTokens)],
  ];
  const claim = claims.find(([, , largest]) => largest >= spec.vocabSize);
  if (!claim) return;
  const [file, what, largest] = claim;
  throw new UserError(
    "TOKENIZER_TOO_LARGE",
    `${path.join(tokenizer.label, file)}: ${what}: expected below ${spec.vocabSize} (rows of the embedding), found ${largest}`,
    "use the tokenizer that belongs to these weights",
  );
}

function openLibrary(files: TokenizerFiles, folder: string): Library {
  const tables = pairTables(files.tokenizerJson);
  try {
    // Off, though older configs say true: it would eat spaces before punctuation that the model did write.
    const library = new Library(files.tokenizerJson, { ...files.configJson, clean_up_tokenization_spaces: false });
    tables?.drop();
    return library;
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw new UserError(
      "TOKENIZER",
      `${path.join(folder, "tokenizer.json")}: expected a tokenizer of a supported kind: ${reason}`,
      "docs/tokenizers.md says what is supported",
    );
  }
}

/**
 * A BPE model's vocabulary and merges, of which the library makes maps of its own and then keeps ours too, several MiB;
 * `drop` empties ours once it has. Merges become pairs first: strings it would split into pairs that it keeps as well.
 * Null for other models.
 */
function pairTables(tokenizerJson: object): { drop(): void } | null {
  if (!hasBpeTables(tokenizerJson)) return null;
  const { model } = tokenizerJson;
  const { merges } = model;
  for (let i = 0; i < merges.length; i++) {
    const merge = merges[i];
    if (typeof merge === "string") merges[i] = merge.split(" ", 2);
  }
  return {
    drop() {
      merges.length = 0;
      model.vocab = {};
    },
  };
}

/** What of a BPE model's tokenizer.json is large. */
interface BpeTables {
  readonly model: { vocab: object; readonly merges: unknown[] };
}

function hasBpeTables(json: object): json is BpeTables {
  if (!("model" in json) || typeof json.model !== "object" || json.model === null) return false;
  const { model } = json;
  if (!("type" in model) || model.type !== "BPE" || !("vocab" in model) || typeof model.vocab !== "object")
    return false;
  return "merges" in model && Array.isArray(model.merges);
}

/**
 * BOS and EOS where `add_bos_token` or `add_eos_token` say so: transformers lets them overrule the template of
 * tokenizer.json. Null where neither is stated: the template holds.
 */
function frameOf(
  files: TokenizerFiles,
  library: Library,
  bosToken: number | null,
  eosToken: number | null,
): { before: number[]; after: number[] } | null {
  if (files.addBos === null && files.addEos === null) return null;
  const template = library.encode("").ids;
  const addBos = files.addBos ?? (template.length > 0 && template[0] === bosToken);
  const addEos = files.addEos ?? (template.length > 0 && template[template.length - 1] === eosToken);
  return {
    before: addBos && bosToken !== null ? [bosToken] : [],
    after: addEos && eosToken !== null ? [eosToken] : [],
  };
}

/** Ids as the library gives them; it leaves a token that the vocabulary lacks undefined. */
function toIds(ids: readonly (number | undefined)[]): Int32Array {
  return Int32Array.from(ids, (id) => {
    if (id === undefined) throw new Error("the tokenizer made a token that its vocabulary lacks");
    return id;
  });
}
