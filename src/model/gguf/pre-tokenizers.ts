import { z } from "zod";

const byteLevel = (regex: boolean) =>
  z.looseObject({
    type: z.literal("ByteLevel"),
    add_prefix_space: z.literal(false),
    use_regex: regex ? z.literal(true).optional() : z.literal(false),
  });
const sequence = (first: z.ZodType, second: z.ZodType) =>
  z.looseObject({ type: z.literal("Sequence"), pretokenizers: z.tuple([first, second]) });

/** How Llama 3 cuts text before the merges. */
const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

const LLAMA3_FORM = sequence(
  z.looseObject({
    type: z.literal("Split"),
    pattern: z.strictObject({ Regex: z.literal(LLAMA3_PATTERN) }),
    behavior: z.literal("Isolated"),
    invert: z.literal(false).optional(),
  }),
  byteLevel(false),
);

/**
 * llama.cpp names the ways to cut text before the merges instead of describing them, and the name also says whether a
 * piece that is a token stays whole whatever the merges make of it (`ignore_merges`).
 */
const PRE_TOKENIZERS: readonly { readonly name: string; readonly form: z.ZodType; readonly ignoreMerges: boolean }[] = [
  {
    name: "smollm",
    form: sequence(z.looseObject({ type: z.literal("Digits"), individual_digits: z.literal(true) }), byteLevel(true)),
    ignoreMerges: false,
  },
  { name: "gpt-2", form: byteLevel(true), ignoreMerges: false },
  { name: "llama-bpe", form: LLAMA3_FORM, ignoreMerges: true },
  { name: "smaug-bpe", form: LLAMA3_FORM, ignoreMerges: false },
];

/** What llama.cpp calls the pre-tokenizer of a `tokenizer.json`; or why it has no name for it. */
export function preTokenizerName(
  preTokenizer: unknown,
  ignoreMerges: boolean,
): { readonly name: string } | { readonly reason: string } {
  const likely = PRE_TOKENIZERS.filter(({ form }) => form.safeParse(preTokenizer).success);
  const found = likely.find((candidate) => candidate.ignoreMerges === ignoreMerges);
  if (found) return { name: found.name };
  if (likely.length > 0) {
    const { name } = likely[0];
    return { reason: `model.ignore_merges: expected ${!ignoreMerges}, as for ${name}, found ${ignoreMerges}` };
  }
  if (JSON.stringify(preTokenizer)?.includes('"add_prefix_space":true')) {
    return {
      reason:
        "pre_tokenizer: add_prefix_space: expected false (llama.cpp puts none before byte-level text), found true",
    };
  }
  const known = PRE_TOKENIZERS.map(({ name }) => name).join(", ");
  return { reason: `pre_tokenizer: expected that of ${known}, found another` };
}
