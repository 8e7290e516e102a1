/** Words of a run that counts as shared: 13, as GPT-3's authors and lm-evaluation-harness take. */
export const OVERLAP_WORDS = 13;

/** How much of an evaluation's text occurs in the calibration's. */
export interface Overlap {
  /** Words of a run. */
  readonly words: number;
  /** Runs of so many words in the evaluation text, one at each word that has enough after it. */
  readonly runs: number;
  /** Those that the calibration text holds too. */
  readonly shared: number;
  /** The words of the first shared run, lower-case; null where there is none. */
  readonly example: string | null;
}

const PRIME = 2_147_483_629;
const OTHER_PRIME = 2_147_483_587;
/** Below 2^22, so that a product stays an exact integer. */
const BASE = 1_000_003;
const OTHER_BASE = 2_000_003;

/**
 * Counts the runs of 13 words of the evaluation texts that also occur in the calibration texts, without regard to case
 * and punctuation. Each text is walked once; runs do not cross texts. Memory follows the evaluation texts.
 */
export function findOverlap(evaluation: Iterable<string>, calibration: Iterable<string>): Overlap {
  const words = new Map<string, number>();
  const numberOf = (word: string) => {
    const known = words.get(word);
    if (known !== undefined) return known;
    words.set(word, words.size);
    return words.size - 1;
  };
  const texts: Int32Array[] = [];
  for (const text of evaluation) texts.push(Int32Array.from(wordsOf(text), numberOf));

  // Equal runs have equal keys; the first place of a key is compared word by word before it counts.
  const places = new Map<number, { text: Int32Array; at: number; count: number; isShared: boolean }>();
  let runs = 0;
  for (const text of texts) {
    for (let at = 0; at + OVERLAP_WORDS <= text.length; at++) {
      runs++;
      const key = keyOf(text, at);
      const place = places.get(key);
      if (!place) places.set(key, { text, at, count: 1, isShared: false });
      else if (isSameRun(place.text, place.at, text, at)) place.count++;
    }
  }

  let shared = 0;
  for (const text of calibration) {
    // A word that the evaluation lacks has no number; -1 keeps it from being part of a shared run.
    const own = Int32Array.from(wordsOf(text), (word) => words.get(word) ?? -1);
    let unknown = -1;
    for (let at = 0; at < own.length; at++) {
      if (own[at] < 0) unknown = at;
      const start = at - OVERLAP_WORDS + 1;
      if (start <= unknown) continue;
      const place = places.get(keyOf(own, start));
      if (!place || place.isShared || !isSameRun(place.text, place.at, own, start)) continue;
      place.isShared = true;
      shared += place.count;
    }
  }
  return { words: OVERLAP_WORDS, runs, shared, example: firstShared(places.values(), words) };
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
}

function keyOf(words: Int32Array, at: number): number {
  let key = 0;
  let other = 0;
  for (let i = at; i < at + OVERLAP_WORDS; i++) {
    key = (key * BASE + words[i] + 1) % PRIME;
    other = (other * OTHER_BASE + words[i] + 1) % OTHER_PRIME;
  }
  return key * 2 ** 21 + (other % 2 ** 21);
}

function isSameRun(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  for (let i = 0; i < OVERLAP_WORDS; i++) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}

function firstShared(
  places: Iterable<{ readonly text: Int32Array; readonly at: number; readonly isShared: boolean }>,
  words: ReadonlyMap<string, number>,
): string | null {
  for (const { text, at, isShared } of places) {
    if (!isShared) continue;
    const names = [...words.keys()];
    return Array.from(text.subarray(at, at + OVERLAP_WORDS), (word) => names[word]).join(" ");
  }
  return null;
}
