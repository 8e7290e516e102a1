import type { Tokenizer } from "./tokenizer.ts";

/** Text of token ids that come one by one. */
export interface TextStream {
  /** What became certain with this id: "" while it ends inside a character. */
  push(id: number): string;
  /** What is still held back; the stream is empty afterwards. */
  flush(): string;
}

export interface TextStreamOptions {
  /** Leave special tokens out (default false, as in decode). */
  readonly skipSpecial?: boolean;
  /** Ids that stand before the first one, such as the prompt's: a first word keeps its space then. */
  readonly after?: ArrayLike<number>;
}

/** What an incomplete or invalid UTF-8 sequence decodes to. */
const REPLACEMENT = "\uFFFD";
/** Prompt ids that are looked at: enough for one character of the longest kind, with room. */
const CONTEXT_IDS = 16;

/**
 * Gives text as ids come; the pieces add up to exactly decode(all ids), or, with `after`, to what the ids add to it.
 *
 * A piece is let go when it ends in a complete character. It is decoded behind the ids of the piece before it, because
 * decoders treat the start of a text specially (sentencepiece drops its first space).
 */
export function createTextStream(tokenizer: Tokenizer, options: TextStreamOptions = {}): TextStream {
  const skipSpecial = options.skipSpecial ?? false;
  const decode = (ids: readonly number[]) => tokenizer.decode(ids, { skipSpecial });
  let context = Array.from(options.after ?? []).slice(-CONTEXT_IDS);
  // A prompt that ends inside a character: the ids that complete it give the whole of it.
  let contextLength = decode(context).replace(/\uFFFD+$/, "").length;
  let held: number[] = [];
  /** Of single ids, which most pieces are: they come again and again. */
  const lengths = new Map<number, number>();
  const lengthOf = (ids: readonly number[]): number => {
    const known = ids.length === 1 ? lengths.get(ids[0]) : undefined;
    if (known !== undefined) return known;
    const { length } = decode(ids);
    if (ids.length === 1) lengths.set(ids[0], length);
    return length;
  };

  const letGo = (text: string): string => {
    const piece = text.slice(contextLength);
    if (piece !== "") {
      context = held;
      contextLength = lengthOf(context);
      held = [];
    }
    return piece;
  };

  return {
    push: (id) => {
      held.push(id);
      const text = decode([...context, ...held]);
      return text.endsWith(REPLACEMENT) ? "" : letGo(text);
    },
    flush: () => {
      const piece = letGo(decode([...context, ...held]));
      held = [];
      return piece;
    },
  };
}
