import type { Tokenizer } from "../../src/model/tokenizer.ts";

/**
 * A tokenizer of whole words: each word, with the space before it, is its number in order of appearance; 1 is put
 * before a text.
 */
export function wordTokenizer(
  options: { bos?: boolean; chatTemplate?: string | null } = {},
): Tokenizer & { chars: number } {
  const words: string[] = ["<unk>", "<s>"];
  return {
    label: "words",
    vocabSize: 100_000,
    beginning: options.bos ? [1] : [],
    bosToken: options.bos ? 1 : null,
    eosToken: null,
    eosTokens: [],
    chatTemplate: options.chatTemplate ?? null,
    specialTexts: {},
    files: [],
    remarks: [],
    chars: 0,
    encode(text, { specialTokens = true } = {}) {
      this.chars += text.length;
      const ids = (text.match(/\s*\S+/g) ?? []).map((word) => {
        const at = words.indexOf(word.trim());
        return at >= 0 ? at : words.push(word.trim()) - 1;
      });
      return Int32Array.from(options.bos && specialTokens ? [1, ...ids] : ids);
    },
    decode: (ids) =>
      Array.from(ids)
        .map((id) => words[id])
        .join(" "),
  };
}
