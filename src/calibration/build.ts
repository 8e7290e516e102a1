import { throwIfAborted, UserError } from "../errors.ts";
import { changedSource } from "../formats/file-mark.ts";
import { applyChatTemplate } from "../model/chat-template.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { Random } from "../tensor/random.ts";
import type { Calibration, CalibrationSource } from "./calibration.ts";
import { readSourceText, type SourceText } from "./documents.ts";
import { cutPassages, startPassages } from "./passages.ts";
import { calibrationFromSequences } from "./sequences.ts";

/** A file and how many tokens to take from it; without a number it shares what the others leave of `maxTokens`. */
export interface SourceRequest {
  readonly path: string;
  readonly tokens?: number | undefined;
  /** Of what it must still hold. */
  readonly sha256?: string | undefined;
}

export interface CalibrationOptions extends WorkOptions {
  /** Length of every sequence. */
  readonly sequenceTokens: number;
  readonly seed: number;
  /** Tokens of all sources together; without it a source without a number is taken whole. */
  readonly maxTokens?: number | undefined;
  /**
   * Sequences besides, that share no token with the others; evenly of all sources. Their number does not change the
   * others. Default 0.
   */
  readonly heldOutSequences?: number | undefined;
}

/** A calibration set and text of the same sources that it does not hold. */
export interface SplitCalibration extends Calibration {
  readonly heldOut: readonly Int32Array[];
}

/** Longest text that is tokenized in one call: tokenizers without a pre-tokenizer take more than linear time. */
const MAX_PASSAGE_CHARS = 8192;

/**
 * Token sequences from several files, each exactly `sequenceTokens` long and beginning with what the tokenizer begins a
 * text with. Passages are chosen by the seed; of a file much larger than needed only about twice the wanted text is
 * tokenized. Throws UserError for unreadable, empty, malformed or too short files.
 */
export async function buildCalibration(
  tokenizer: Tokenizer,
  sources: readonly SourceRequest[],
  options: CalibrationOptions,
): Promise<SplitCalibration> {
  checkCounts(sources, options);
  const { beginning } = tokenizer;
  if (beginning.length >= options.sequenceTokens) {
    throw new UserError(
      "CALIBRATION_TOKENS",
      `sequence: expected more than ${beginning.length} tokens, found ${options.sequenceTokens}`,
    );
  }
  const random = new Random(options.seed);
  const wanted = wantedSequences(sources, options);
  const apart = heldOutShares(sources.length, options.heldOutSequences ?? 0);
  const sequences: Int32Array[] = [];
  const heldOut: Int32Array[] = [];
  const used: CalibrationSource[] = [];
  for (const [i, source] of sources.entries()) {
    throwIfAborted(options.signal);
    const text = await readSourceText(source.path, (messages) => applyChatTemplate(tokenizer, messages));
    if (source.sha256 !== undefined && source.sha256 !== text.sha256) throw changedSource(source.path);
    const chooser = new Chooser(tokenizer, text, options.sequenceTokens - beginning.length, random.fork(`source ${i}`));
    const bodies = chooser.choose(wanted[i], apart[i]);
    const needed = { sequences: source.tokens === undefined ? 1 : wanted[i], heldOut: apart[i] };
    checkEnough(source, needed, bodies, { tokens: chooser.tokensSeen, sequenceTokens: options.sequenceTokens });
    for (const body of bodies.chosen) sequences.push(Int32Array.from([...beginning, ...body]));
    for (const body of bodies.heldOut) heldOut.push(Int32Array.from([...beginning, ...body]));
    used.push({
      path: source.path,
      sha256: text.sha256,
      tokens: bodies.chosen.length * options.sequenceTokens,
      sequences: bodies.chosen.length,
    });
    options.onProgress?.({ stage: "calibration", done: i + 1, total: sources.length, detail: source.path });
  }
  return { ...calibrationFromSequences(random.fork("order").shuffle(sequences), used), heldOut };
}

/** Bodies of sequences from one file. */
interface Choice {
  readonly chosen: readonly Int32Array[];
  readonly heldOut: readonly Int32Array[];
}

/** Chooses sequences from one file. */
class Chooser {
  /** Tokens made so far: what was found, for the message when it is too little. */
  tokensSeen = 0;
  private readonly tokenizer: Tokenizer;
  private readonly documents: readonly string[];
  private readonly body: number;
  private readonly random: Random;

  constructor(tokenizer: Tokenizer, text: SourceText, body: number, random: Random) {
    this.tokenizer = tokenizer;
    this.documents = text.documents;
    this.body = body;
    this.random = random;
  }

  /**
   * At most `count` sequences of `body` tokens and `heldOut` others; the former do not depend on how many the latter
   * are.
   */
  choose(count: number, heldOut: number): Choice {
    const chars = this.documents.reduce((sum, document) => sum + document.length, 0);
    const charsPerToken = this.measure();
    const isLarge = chars > 2.5 * count * this.body * charsPerToken;
    const picked = isLarge ? this.pick(count, heldOut, charsPerToken) : null;
    return picked?.chosen.length === count ? picked : this.chunk(count, heldOut);
  }

  private encode(text: string): Int32Array {
    const ids = this.tokenizer.encode(text, { specialTokens: false });
    this.tokensSeen += ids.length;
    return ids;
  }

  /** A chat template writes BOS itself, and every sequence gets one. */
  private withoutBeginning(ids: number[]): number[] {
    const { beginning } = this.tokenizer;
    const isSaid = beginning.length > 0 && beginning.every((id, i) => ids[i] === id);
    return isSaid ? ids.slice(beginning.length) : ids;
  }

  /** Characters a token, from some text of the middle. */
  private measure(): number {
    const document = this.documents[this.documents.length >> 1];
    const middle = document.length >> 1;
    const sample = document.slice(Math.max(0, middle - 1000), middle + 1000);
    return sample.length / Math.max(1, this.encode(sample).length);
  }

  /** From a large file: passages in random order, one sequence each from its beginning; short ones are joined. */
  private pick(count: number, heldOut: number, charsPerToken: number): Choice {
    const cell = Math.ceil(1.6 * this.body * charsPerToken);
    const passages = this.random.shuffle(startPassages(this.documents, cell));
    const sequences: Int32Array[] = [];
    const rests: number[] = [];
    let ids: number[] = [];
    for (const passage of passages) {
      if (sequences.length === count + heldOut) break;
      for (const part of cutPassages([passage], MAX_PASSAGE_CHARS)) ids.push(...this.encode(part));
      ids = this.withoutBeginning(ids);
      if (ids.length < this.body) continue;
      sequences.push(Int32Array.from(ids.slice(0, this.body)));
      for (const id of ids.slice(this.body)) rests.push(id);
      ids = [];
    }
    // Where the passages do not suffice for held-out sequences, what is left of them does.
    const chosen = sequences.splice(0, count);
    for (let at = 0; sequences.length < heldOut && at + this.body <= rests.length; at += this.body) {
      sequences.push(Int32Array.from(rests.slice(at, at + this.body)));
    }
    return { chosen, heldOut: sequences };
  }

  /** From a small file: the whole text cut into sequences, and some of these in random order. */
  private chunk(count: number, heldOut: number): Choice {
    this.tokensSeen = 0;
    const sequences: Int32Array[] = [];
    let ids: number[] = [];
    for (const passage of cutPassages(separated(this.documents), MAX_PASSAGE_CHARS)) {
      ids = this.withoutBeginning([...ids, ...this.encode(passage)]);
      while (ids.length >= this.body) {
        sequences.push(Int32Array.from(ids.slice(0, this.body)));
        ids = this.withoutBeginning(ids.slice(this.body));
      }
    }
    const shuffled = this.random.shuffle(sequences);
    return { chosen: shuffled.slice(0, count), heldOut: shuffled.slice(count, count + heldOut) };
  }
}

/** A blank line after each document but the last, as between the paragraphs of plain text. */
function separated(documents: readonly string[]): string[] {
  return documents.map((document, i) => (i + 1 < documents.length ? `${document}\n\n` : document));
}

function wantedSequences(sources: readonly SourceRequest[], options: CalibrationOptions): number[] {
  const { sequenceTokens, maxTokens } = options;
  const named = sources.reduce((sum, source) => sum + (source.tokens ?? 0), 0);
  const sharing = sources.filter((source) => source.tokens === undefined).length;
  const rest = maxTokens === undefined ? Number.POSITIVE_INFINITY : (maxTokens - named) / Math.max(1, sharing);
  return sources.map((source) => Math.max(1, Math.floor((source.tokens ?? rest) / sequenceTokens)));
}

/** `sequences` shared out evenly. */
function heldOutShares(sources: number, sequences: number): number[] {
  const before = (i: number) => Math.floor((i * sequences) / sources);
  return Array.from({ length: sources }, (_, i) => before(i + 1) - before(i));
}

function checkCounts(sources: readonly SourceRequest[], { sequenceTokens, maxTokens }: CalibrationOptions): void {
  const fail = (what: string, expected: string, found: number) => {
    throw new UserError("CALIBRATION_TOKENS", `calibration: ${what}: expected ${expected}, found ${found}`);
  };
  if (sources.length === 0) fail("sources", "at least one file", 0);
  if (!Number.isInteger(sequenceTokens) || sequenceTokens < 2)
    fail("sequence", "a whole number of tokens >= 2", sequenceTokens);
  const named = sources.reduce((sum, source) => sum + (source.tokens ?? 0), 0);
  for (const { path, tokens } of sources) {
    if (tokens !== undefined && tokens < sequenceTokens)
      fail(`${path}: tokens`, `at least one sequence of ${sequenceTokens}`, tokens);
  }
  const sharing = sources.filter((source) => source.tokens === undefined).length;
  const least = named + sharing * sequenceTokens;
  if (maxTokens !== undefined && maxTokens < least) fail("tokens of all sources", `at least ${least}`, maxTokens);
}

/** A number that was asked for is met or refused; a share is met as far as the text goes, by one sequence at least. */
function checkEnough(
  { path }: SourceRequest,
  needed: { readonly sequences: number; readonly heldOut: number },
  { chosen, heldOut }: Choice,
  { tokens, sequenceTokens }: { readonly tokens: number; readonly sequenceTokens: number },
): void {
  if (chosen.length >= needed.sequences && heldOut.length >= needed.heldOut) return;
  const wanted = (needed.sequences + needed.heldOut) * sequenceTokens;
  const message = `${path}: calibration text: expected at least ${wanted} tokens, found ${tokens}`;
  throw new UserError("CALIBRATION_TOO_SHORT", message, "give a longer text or ask for fewer or shorter sequences");
}
