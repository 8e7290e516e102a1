import { writeFileSync } from "node:fs";
import path from "node:path";
import { byteLetters } from "../../src/model/byte-letters.ts";

/** A special token of a `tokenizer.json`. */
export const specialToken = (id: number, content: string) => ({
  ...{ id, content, special: true },
  ...{ normalized: false, lstrip: false, rstrip: false, single_word: false },
});

/** Parts of a `tokenizer.json` in place of its own. */
export interface TokenizerChanges extends Readonly<Record<string, unknown>> {
  readonly model?: object;
}

/**
 * A byte-level `tokenizer.json` whose ids 0 … 255 are the bytes, GPT-2's with every merge left out; `specials` get the
 * ids behind. `changes` replaces parts, those of `model` one by one.
 */
export function byteTokenizer(specials: readonly string[] = [], changes: TokenizerChanges = {}) {
  const vocab = Object.fromEntries(byteLetters().map((letter, byte) => [letter, byte]));
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return {
    ...{ version: "1.0", truncation: null, padding: null, normalizer: null },
    added_tokens: specials.map((content, i) => specialToken(256 + i, content)),
    ...{ pre_tokenizer: byteLevel, post_processor: null, decoder: byteLevel },
    ...changes,
    model: {
      ...{ type: "BPE", dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false, vocab, merges: [] },
      ...changes.model,
    },
  };
}

/** Writes such a tokenizer into a folder: for checkpoints of random weights that come without one. */
export function writeByteTokenizer(folder: string): void {
  writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify(byteTokenizer()));
  writeFileSync(path.join(folder, "tokenizer_config.json"), JSON.stringify({ tokenizer_class: "GPT2Tokenizer" }));
}
