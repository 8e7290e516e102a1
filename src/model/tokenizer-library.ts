import { Tokenizer as Library } from "@huggingface/tokenizers";
import { UserError } from "../errors.ts";
import { showName } from "../formats/safetensors/index.ts";
import type { AddedToken } from "./added-tokens.ts";
import { TimeLimitError, withinTime } from "./time-limit.ts";
import type { TokenizerModel } from "./tokenizer-model.ts";
import { libraryParts } from "./tokenizer-parts.ts";

/** The parts of a `tokenizer.json` that make ids of a text and a text of ids. */
export interface CodecParts {
  readonly tokenizerJson: object;
  readonly model: TokenizerModel;
  readonly added: readonly AddedToken[];
}

/** Text to ids and back, with nothing put around it. */
export interface TextCodec {
  /** The id of a token's text. */
  idOf(token: string): number | undefined;
  /** The text of a token. */
  textOf(id: number): string | undefined;
  /** Throws UserError TOKEN_UNKNOWN for text that the vocabulary lacks where no token stands for such. */
  encode(text: string): number[];
  /** `ids`: at least one, all of the vocabulary. */
  decode(ids: number[]): string;
}

/** Goes through every part of a tokenizer: what would throw at any text throws when it is opened. */
const PROBE = "Probe 1, é 中!\n";

/**
 * Longest that a text may take: a tenth of the speed that the library has on a slow machine. An expression that goes
 * back and forth takes years.
 */
const [MAX_START_MS, MAX_MS_A_CHARACTER] = [1000, 0.05];

/**
 * Opens the library's tokenizer; the tables of `parts` are empty afterwards. What the library throws at, here and in
 * every later call, is a UserError TOKENIZER: it takes files that it cannot work with. `file` is for messages.
 */
export function openTextCodec(parts: CodecParts, file: string): TextCodec {
  const { bytesOfUnknown } = parts.model;
  const library = openLibrary(parts, file);
  const idOf = (token: string) => library.token_to_id(token);
  // The limit costs as much as a small model's token: it is kept where there is a need.
  const isTimed = decodesByPattern(parts);
  const decode = (work: () => string) => (isTimed ? timed(file, 0, work) : guarded(file, work));
  const codec: TextCodec = {
    idOf,
    textOf: (id) => library.id_to_token(id),
    encode: (text) =>
      timed(file, text.length, () => {
        const { ids, tokens } = library.encode(text, { add_special_tokens: false });
        const known = (id: number | undefined, i: number): number => id ?? refuseToken(tokens[i], file);
        if (!bytesOfUnknown) return ids.map(known);
        return ids.flatMap((id: number | undefined, i: number) => bytesOf(tokens[i], idOf) ?? [known(id, i)]);
      }),
    decode: (ids) => decode(() => library.decode(ids)),
  };
  probe(codec);
  return codec;
}

function openLibrary({ tokenizerJson, model, added }: CodecParts, file: string): Library {
  const { libraryModel, unknownToken } = model;
  const json = {
    ...tokenizerJson,
    ...libraryParts(tokenizerJson, file),
    model: libraryModel,
    added_tokens: added,
    // What a post-processor puts around a text is said by tokenizer-beginning.ts.
    post_processor: null,
  };
  // Clean-up off, though older configs say true: it would eat spaces before punctuation that the model did write.
  const config = { clean_up_tokenization_spaces: false, unk_token: unknownToken };
  const library = guarded(file, () => new Library(json, config));
  // It has made maps of its own and keeps these tables too, several MiB.
  libraryModel.vocab = {};
  if (libraryModel.merges) libraryModel.merges.length = 0;
  return library;
}

/** A small vocabulary need not have what the probe has in it. */
function probe(codec: TextCodec): void {
  try {
    const ids = codec.encode(PROBE);
    if (ids.length > 0) codec.decode(ids);
  } catch (error) {
    if (!(error instanceof UserError && error.code === "TOKEN_UNKNOWN")) throw error;
  }
}

/** Ids of a text's bytes in UTF-8; null where it is a token itself or some byte has none. */
function bytesOf(text: string, idOf: TextCodec["idOf"]): number[] | null {
  if (idOf(text) !== undefined) return null;
  const bytes = Array.from(new TextEncoder().encode(text), (byte) => idOf(`<0x${hex(byte)}>`));
  const known = bytes.filter((id) => id !== undefined);
  return known.length === bytes.length ? known : null;
}

const hex = (byte: number) => byte.toString(16).toUpperCase().padStart(2, "0");

function refuseToken(token: string, file: string): never {
  throw new UserError(
    "TOKEN_UNKNOWN",
    `${file}: text: expected words of the vocabulary, found ${showName(String(token))}`,
    "the tokenizer has no token for unknown text: leave it out",
  );
}

/** Whether a decoder holds a regular expression. */
function decodesByPattern({ tokenizerJson }: CodecParts): boolean {
  return "decoder" in tokenizerJson && JSON.stringify(tokenizerJson.decoder)?.includes('"Regex"') === true;
}

/** `guarded` with a limit of time for so many characters. */
function timed<T>(file: string, characters: number, work: () => T): T {
  return guarded(file, () => {
    try {
      return withinTime(MAX_START_MS + characters * MAX_MS_A_CHARACTER, work);
    } catch (error) {
      if (!(error instanceof TimeLimitError)) throw error;
      throw new UserError(
        "TOKENIZER_TIME",
        `${file}: expected to read ${characters} characters in ${(error.limitMs / 1000).toFixed(1)} s, found it busy`,
        "a regular expression of the tokenizer goes back and forth over this text: take another tokenizer",
      );
    }
  });
}

function guarded<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw new UserError(
      "TOKENIZER",
      `${file}: expected a tokenizer of a supported kind: ${reason}`,
      "docs/tokenizers.md says what is supported",
    );
  }
}
