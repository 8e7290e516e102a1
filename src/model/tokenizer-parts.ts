import { z } from "zod";
import { UserError } from "../errors.ts";
import { parseWith } from "../formats/files.ts";
import { showName } from "../formats/safetensors/index.ts";

/** What stands around a tokenizer's model, as the library takes it; null where there is none. */
export interface LibraryParts {
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly decoder: object | null;
}

/** Sequences inside sequences: real files have one, and what is read is gone through by recursion. */
export const MAX_NESTED = 8;
/** Characters of a piece of FixedLength: longer ones cut nothing. */
const MAX_PIECE = 1_000_000;

type Json = Readonly<Record<string, unknown>>;
/** Checks a part and gives it in the library's words; `where` names it in messages. */
type ReadPart = (part: Json, where: string) => object;

function kind<T extends object>(schema: z.ZodType<T>, asLibrary: (part: T) => object = (part) => part): ReadPart {
  return (part, where) => asLibrary(parseWith(schema, part, where));
}

/** A part whose fields change nothing. */
const bare = kind(z.looseObject({}));
const flag = z.boolean().nullish();

/**
 * Limits of a pattern: real ones have some 600 characters and 6 levels. JavaScript's compiler of regular expressions
 * goes down by recursion, and ends the process where it is out of stack.
 */
const [MAX_PATTERN, MAX_GROUPS] = [10_000, 50];
const pattern = z.string().max(MAX_PATTERN, `expected a pattern of at most ${MAX_PATTERN} characters`);
const regex = pattern.refine((text) => groupsOf(text) <= MAX_GROUPS, `expected groups in at most ${MAX_GROUPS} others`);
const Pattern = z.union([z.strictObject({ String: pattern }), z.strictObject({ Regex: regex })]);

/** How deep a pattern's groups lie in one another, brackets inside of classes taken for groups. */
function groupsOf(text: string): number {
  let [depth, most] = [0, 0];
  for (const [bracket] of text.matchAll(/\\.|[()]/gs)) {
    if (bracket === "(") most = Math.max(most, ++depth);
    else if (bracket === ")") depth--;
  }
  return most;
}

const Replacing = z.looseObject({ pattern: Pattern, content: z.string() });

/** Literal text: JavaScript reads a dollar sign in a replacement. */
const replace = kind(Replacing, (part) => ({ ...part, content: part.content.replaceAll("$", "$$$$") }));

const NORMALIZERS: Readonly<Record<string, ReadPart>> = {
  BertNormalizer: kind(
    z.looseObject({ clean_text: flag, handle_chinese_chars: flag, strip_accents: flag, lowercase: flag }),
  ),
  Lowercase: bare,
  NFC: bare,
  NFD: bare,
  NFKC: bare,
  NFKD: bare,
  Precompiled: kind(z.looseObject({ precompiled_charsmap: z.string().nullish() })),
  Prepend: kind(z.looseObject({ prepend: z.string() })),
  Replace: replace,
  Strip: kind(z.looseObject({ strip_left: z.boolean(), strip_right: z.boolean() })),
  StripAccents: bare,
};

const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
const Behavior = z.enum(BEHAVIORS);
type Behavior = z.infer<typeof Behavior>;

const literal = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/**
 * Text cut at a regular expression. The library knows two behaviors, so the others become expressions of their own; and
 * it cuts at a string otherwise than at an expression.
 */
function split(regex: string, behavior: Behavior, invert = false): object {
  const others = `(?:(?!${regex})[\\s\\S])*`;
  const forms: Readonly<Record<Behavior, string>> = {
    Removed: regex,
    Isolated: regex,
    MergedWithPrevious: `${others}(?:${regex})`,
    MergedWithNext: `(?:${regex})${others}`,
    Contiguous: `(?:${regex})+`,
  };
  const keeps = behavior !== "Removed";
  return {
    type: "Split",
    pattern: { Regex: forms[behavior] },
    behavior: keeps ? "Isolated" : behavior,
    invert: invert && !keeps,
  };
}

const Split = z
  .looseObject({ pattern: Pattern, behavior: Behavior, invert: z.boolean().default(false) })
  .refine(({ behavior, invert }) => !invert || behavior === "Removed" || behavior === "Isolated", {
    path: ["invert"],
    message: "expected false beside a behavior that merges, found true (not supported)",
  });

/** Unicode's punctuation and what else of ASCII is neither letter, digit nor space. */
const PUNCTUATION = "[\\p{P}!-/:-@\\[-`{-~]";

const Metaspace = z.looseObject({
  replacement: z.string().min(1),
  prepend_scheme: z.enum(["always", "first", "never"]).default("always"),
  add_prefix_space: z.boolean().nullish(),
  split: z.boolean().nullish(),
});

/** Older files say `add_prefix_space`, which the library does not read; nor does it cut words apart. */
function metaspace({ replacement, add_prefix_space, ...part }: z.infer<typeof Metaspace>): object {
  const prepend_scheme = add_prefix_space === false ? "never" : part.prepend_scheme;
  const marked = { type: "Metaspace", replacement, prepend_scheme };
  if (part.split === false) return marked;
  return { type: "Sequence", pretokenizers: [marked, split(literal(replacement), "MergedWithNext")] };
}

const PRE_TOKENIZERS: Readonly<Record<string, ReadPart>> = {
  BertPreTokenizer: bare,
  ByteLevel: kind(z.looseObject({ add_prefix_space: z.boolean(), use_regex: z.boolean().default(true) })),
  CharDelimiterSplit: kind(z.looseObject({ delimiter: z.string().min(1) }), ({ delimiter }) =>
    split(literal(delimiter), "Removed"),
  ),
  // The library knows ASCII's digits only.
  Digits: kind(z.looseObject({ individual_digits: z.boolean() }), ({ individual_digits }) =>
    split("\\p{N}", individual_digits ? "Isolated" : "Contiguous"),
  ),
  FixedLength: kind(z.looseObject({ length: z.number().int().min(1).max(MAX_PIECE) }), ({ length }) =>
    split(`[\\s\\S]{1,${length}}`, "Isolated"),
  ),
  Metaspace: kind(Metaspace, metaspace),
  Punctuation: kind(z.looseObject({ behavior: Behavior.default("Isolated") }), ({ behavior }) =>
    split(PUNCTUATION, behavior),
  ),
  Split: kind(Split, ({ pattern, behavior, invert }) =>
    split("Regex" in pattern ? pattern.Regex : literal(pattern.String), behavior, invert),
  ),
  // The library's own knows ASCII's letters only; inside brackets its \w is Rust's.
  Whitespace: kind(z.looseObject({}), () => split("[\\w]+|[^\\w\\s]+", "Removed", true)),
  WhitespaceSplit: bare,
};

const count = z.number().int().min(0).max(1000);

const DECODERS: Readonly<Record<string, ReadPart>> = {
  BPEDecoder: kind(z.looseObject({ suffix: z.string() })),
  ByteFallback: bare,
  ByteLevel: bare,
  CTC: kind(
    z.looseObject({ pad_token: z.string(), word_delimiter_token: z.string(), cleanup: z.boolean().default(true) }),
  ),
  Fuse: bare,
  Metaspace: kind(Metaspace, ({ replacement, prepend_scheme, add_prefix_space }) =>
    prepend_scheme === "never" || add_prefix_space === false
      ? { type: "Replace", pattern: { String: replacement }, content: " " }
      : { type: "Metaspace", replacement },
  ),
  Replace: replace,
  Strip: kind(z.looseObject({ content: z.string(), start: count, stop: count })),
  WordPiece: kind(z.looseObject({ prefix: z.string(), cleanup: z.boolean().default(true) })),
};

/** The parts of a `tokenizer.json` that are made of kinds, and what a sequence calls its list. */
const PARTS = {
  normalizer: { kinds: NORMALIZERS, list: "normalizers" },
  pre_tokenizer: { kinds: PRE_TOKENIZERS, list: "pretokenizers" },
  decoder: { kinds: DECODERS, list: "decoders" },
} as const;

/**
 * The parts as the library reads them: what it would read otherwise than the Rust tokenizers do is said in other words
 * that mean the same. Throws UserError TOKENIZER for a kind that is not known, BAD_FIELD for fields that make no sense;
 * `file` is for messages.
 */
export function libraryParts(tokenizerJson: object, file: string): LibraryParts {
  const json: Json = { ...tokenizerJson };
  const part = (name: keyof typeof PARTS) => readPart(json[name], `${file}: ${name}`, { ...PARTS[name], nested: 0 });
  return { normalizer: part("normalizer"), pre_tokenizer: part("pre_tokenizer"), decoder: part("decoder") };
}

interface Reading {
  readonly kinds: Readonly<Record<string, ReadPart>>;
  readonly list: string;
  /** Sequences around the part. */
  readonly nested: number;
}

function readPart(value: unknown, where: string, reading: Reading): object | null {
  if (value === null || value === undefined) return null;
  const { kinds, list, nested } = reading;
  const part: Json = parseWith(z.looseObject({ type: z.string() }), value, where);
  const type = String(part.type);
  if (type === "Sequence") {
    if (nested === MAX_NESTED) throw unsupportedPart(where, `at most ${MAX_NESTED} sequences in one another`, "more");
    const items = parseWith(z.array(z.looseObject({})), part[list], `${where}.${list}`);
    const inside = { ...reading, nested: nested + 1 };
    return { type, [list]: items.map((item, i) => readPart(item, `${where}.${list}.${i}`, inside)) };
  }
  if (!Object.hasOwn(kinds, type)) {
    const known = [...Object.keys(kinds), "Sequence"].sort().join(", ");
    throw unsupportedPart(where, `one of ${known}`, showName(type));
  }
  return kinds[type](part, where);
}

/** The error for a part that is of no supported form. */
export function unsupportedPart(where: string, expected: string, found: string): UserError {
  const what = `${where}: expected ${expected}, found ${found}`;
  return new UserError("TOKENIZER", what, "docs/tokenizers.md says what is supported");
}
