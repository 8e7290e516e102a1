import type { Tokenizer } from "../../src/model/tokenizer.ts";

/** A tokenizer with only what a chat template sees: no tokens. */
export function templateTokenizer(chatTemplate: string | null): Tokenizer {
  return {
    label: "some/model",
    vocabSize: 3,
    beginning: [0],
    bosToken: 0,
    eosToken: 1,
    eosTokens: [1],
    chatTemplate,
    specialTexts: { bos_token: "<s>", eos_token: "</s>" },
    files: [],
    remarks: [],
    encode: () => new Int32Array(),
    decode: () => "",
  };
}
