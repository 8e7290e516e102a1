import path from "node:path";
import { UserError } from "../errors.ts";
import type { DecoderSpec } from "./decoder-spec.ts";
import {
  readTokenizerFiles,
  type TokenizerFileRecord,
  type TokenizerFiles,
  type TokenizerFilesOptions,
} from "./tokenizer-files.ts";
import { openTextCodec, type TextCodec } from "./tokenizer-library.ts";

/** Text to token ids and back, as the checkpoint's tokenizer files say. */
export interface Tokenizer {
  /** Folder of the files, for messages. */
  readonly label: string;
  /** Largest id + 1. */
  readonly vocabSize: number;
  /**
   * Ids that a text begins with, usually BOS or nothing: the one place that prompts, evaluation, calibration, tasks and
   * export ask.
   */
  readonly beginning: readonly number[];
  /** BOS, also where no text begins with it. */
  readonly bosToken: number | null;
  readonly eosToken: number | null;
  /** Ids that end a generation: the tokenizer's eos and those of generation_config.json. */
  readonly eosTokens: readonly number[];
  /** Jinja source, or null where the model has none. */
  readonly chatTemplate: string | null;
  /** `bos_token`, `eos_token`, … -> text: what chat templates call them. */
  readonly specialTexts: Readonly<Record<string, string>>;
  /** The files that it was read from, which an artifact must carry. */
  readonly files: readonly TokenizerFileRecord[];
  /** What the files say that has no effect, a line each. */
  readonly remarks: readonly string[];
  /**
   * `specialTokens` (default true): behind `beginning`. Nothing is put behind a text, which may be continued. Text of
   * special tokens becomes their ids. Throws UserError TOKEN_UNKNOWN or TOKEN_WITHOUT_ROW for text that the model
   * cannot read.
   */
  encode(text: string, options?: { specialTokens?: boolean }): Int32Array;
  /** Ids outside the vocabulary give nothing. `skipSpecial` (default false) leaves special tokens out. */
  decode(ids: ArrayLike<number>, options?: { skipSpecial?: boolean }): string;
}

/** What of a model its tokenizer must fit. */
export type TokenizerModelFacts = Pick<DecoderSpec, "vocabSize" | "bosToken">;

/**
 * Loads the tokenizer of a checkpoint or artifact folder. With a `spec` it fits that model: tokens without a row of the
 * embedding are refused where a text needs them. UserError where its files are missing, damaged, of an unknown kind or
 * another model's.
 */
export async function loadTokenizer(
  folder: string,
  { spec, ...options }: { readonly spec?: TokenizerModelFacts } & TokenizerFilesOptions = {},
): Promise<Tokenizer> {
  const files = await readTokenizerFiles(folder, options);
  const { specialTexts, additionalSpecialTexts, chatTemplate, present, generationEosIds } = files;
  const rows = spec?.vocabSize ?? Number.POSITIVE_INFINITY;
  const vocabSize = checkRows(files, rows);
  const codec = openTextCodec(files, path.join(folder, "tokenizer.json"));
  const idOf = (text: string | undefined) => (text ? codec.idOf(text) : undefined) ?? null;
  const eosToken = idOf(specialTexts.eos_token);
  const eosTokens = [...new Set([...generationEosIds, ...(eosToken === null ? [] : [eosToken])])];
  const bosToken = idOf(specialTexts.bos_token) ?? files.templateBeginning[0] ?? spec?.bosToken ?? null;
  const beginning = beginningOf(files, bosToken);
  const named = [...Object.values(specialTexts), ...additionalSpecialTexts].flatMap((text) => idOf(text) ?? []);
  const special = new Set([...files.added.flatMap(({ special, id }) => (special ? [id] : [])), ...named]);
  const idsOf = (text: string) => withRows(codec.encode(text), { codec, rows, folder });
  withRows(beginning, { codec, rows, folder });

  return {
    ...{ label: folder, vocabSize, beginning, chatTemplate, specialTexts, files: present },
    bosToken: bosToken !== null && bosToken < rows ? bosToken : null,
    eosToken: eosToken !== null && eosToken < rows ? eosToken : null,
    eosTokens: eosTokens.filter((id) => id < rows),
    remarks: remarksOn(files, { codec, rows, eosTokens, bosToken }),
    encode: (text, { specialTokens = true } = {}) =>
      Int32Array.from(specialTokens ? [...beginning, ...idsOf(text)] : idsOf(text)),
    decode: (ids, { skipSpecial = false } = {}) => {
      const kept = Array.from(ids).filter((id) => codec.textOf(id) !== undefined && !(skipSpecial && special.has(id)));
      return kept.length === 0 ? "" : codec.decode(kept);
    },
  };
}

/**
 * `add_bos_token` overrules the template of tokenizer.json where it is stated, as in transformers. `add_eos_token` is
 * for texts that models learn from.
 */
function beginningOf({ addBos, templateBeginning }: TokenizerFiles, bosToken: number | null): readonly number[] {
  if (addBos === null) return templateBeginning;
  return addBos && bosToken !== null ? [bosToken] : [];
}

/**
 * The largest id + 1. UserError where the model's own vocabulary has tokens without a row: any text may need them.
 * Added tokens may have none: a text must spell them.
 */
function checkRows({ folder, model, added }: TokenizerFiles, rows: number): number {
  const { texts, ids } = model.vocabulary;
  const addedTexts = new Set(added.map(({ content }) => content));
  const largest = (of: readonly number[]) => of.reduce((most, id) => Math.max(most, id), -1);
  const beyond = ids.filter((id, i) => id >= rows && !addedTexts.has(texts[i]));
  if (beyond.length === 0) return 1 + Math.max(largest(ids), largest(added.map(({ id }) => id)));
  throw new UserError(
    "TOKENIZER_TOO_LARGE",
    `${path.join(folder, "tokenizer.json")}: largest token id: expected below ${rows} (rows of the embedding), found ${largest(beyond)}`,
    "use the tokenizer that belongs to these weights",
  );
}

/** What the ids are checked against, and what names one without a row. */
interface Rows {
  readonly codec: TextCodec;
  readonly rows: number;
  readonly folder: string;
}

function withRows(ids: readonly number[], { codec, rows, folder }: Rows): readonly number[] {
  const id = ids.find((candidate) => candidate >= rows);
  if (id === undefined) return ids;
  throw new UserError(
    "TOKEN_WITHOUT_ROW",
    `${folder}: text: expected tokens below ${rows} (rows of the embedding), found ${tokenText(codec, id)}`,
    "the model has never seen this token: leave it out",
  );
}

function tokenText(codec: TextCodec, id: number): string {
  return `${JSON.stringify(codec.textOf(id) ?? "")} (id ${id})`;
}

/** What has no effect though the files say it, where somebody may wait for the effect. */
function remarksOn(
  files: TokenizerFiles,
  facts: {
    readonly codec: TextCodec;
    readonly rows: number;
    readonly eosTokens: readonly number[];
    readonly bosToken: number | null;
  },
): string[] {
  const { codec, rows, eosTokens, bosToken } = facts;
  const { bos_token, eos_token } = files.specialTexts;
  const remark = (what: string, items: readonly string[]) =>
    items.length === 0 ? [] : [`${files.folder}: ${what}: ${shortList(items)}`];
  const unknown = Object.entries({ bos_token, eos_token }).filter(([, text]) => text && codec.idOf(text) === undefined);
  const beyond = files.added.filter(({ id }) => id >= rows);
  return [
    ...remark(
      "no file gives these special tokens an id, so they are plain text",
      unknown.map(([name, text]) => `${JSON.stringify(text)} (${name})`),
    ),
    ...remark(
      `tokens beyond the ${rows} rows of the embedding, refused where a text needs one`,
      beyond.map(({ id }) => tokenText(codec, id)),
    ),
    ...remark(
      `tokens that would end an answer, beyond the ${rows} rows of the embedding`,
      eosTokens.filter((id) => id >= rows).map((id) => `id ${id}`),
    ),
    ...(files.addBos === true && bosToken === null
      ? [`${files.folder}: add_bos_token is true, and no file names a BOS: texts begin without one`]
      : []),
  ];
}

function shortList(items: readonly string[]): string {
  const shown = items.slice(0, 3).join(", ");
  return items.length > 3 ? `${shown} and ${items.length - 3} more` : shown;
}
