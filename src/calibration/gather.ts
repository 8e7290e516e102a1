import type { Tokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { buildCalibration, type SourceRequest } from "./build.ts";
import type { Calibration } from "./calibration.ts";
import { calibrationFromSequences } from "./sequences.ts";

/**
 * Tokens of a run that counts as shared: openings that many texts have ("Once upon a time, there was a little …") are
 * shorter.
 */
const SHARED_TOKENS = 32;

export interface GatherOptions extends WorkOptions {
  /** Of all files together. */
  readonly tokens: number;
  readonly sequenceTokens: number;
  readonly seed: number;
  /** Sequences that nothing of the text may be taken from. */
  readonly heldOut?: readonly ArrayLike<number>[] | undefined;
}

/**
 * At most so many tokens of some files, in equal parts as far as the files go: what a short one lacks the others give.
 * Sequences that share 32 tokens in a row with held-out ones are left out. Chosen by the seed. Throws UserError as
 * buildCalibration does.
 */
export async function gatherCalibration(
  tokenizer: Tokenizer,
  files: readonly Omit<SourceRequest, "tokens">[],
  { tokens, sequenceTokens, heldOut = [], ...options }: GatherOptions,
): Promise<Calibration> {
  let sources: SourceRequest[] = files.map(({ path, sha256 }) => ({ path, sha256 }));
  for (;;) {
    const found = await buildCalibration(tokenizer, sources, { ...options, sequenceTokens, maxTokens: tokens });
    const named = sources.reduce((sum, source) => sum + (source.tokens ?? 0), 0);
    const sharing = sources.filter((source) => source.tokens === undefined).length;
    const share = Math.floor((tokens - named) / sharing / sequenceTokens);
    const isShort = (i: number) => sources[i].tokens === undefined && found.sources[i].sequences < share;
    const short = sources.filter((_, i) => isShort(i)).length;
    if (short === 0 || short === sharing) return withoutShared(found, heldOut);
    sources = sources.map((source, i) => (isShort(i) ? { ...source, tokens: found.sources[i].tokens } : source));
  }
}

/** The sequences that share no run with any held-out one. */
function withoutShared(found: Calibration, heldOut: readonly ArrayLike<number>[]): Calibration {
  const runs = new Set(heldOut.flatMap((sequence) => [...runsOf(Array.from(sequence))]));
  if (runs.size === 0) return found;
  const kept = found.sequences.filter((sequence) => {
    for (const run of runsOf([...sequence])) if (runs.has(run)) return false;
    return true;
  });
  return calibrationFromSequences(kept, found.sources);
}

/** Every run of a sequence as text; of a short sequence the whole of it. */
function* runsOf(sequence: readonly number[]): Generator<string> {
  const length = Math.min(SHARED_TOKENS, sequence.length);
  for (let at = 0; at + length <= sequence.length; at++) yield sequence.slice(at, at + length).join();
}
