import type { WorkOptions } from "../../progress.ts";
import { chooseAfter, wantedBy } from "../output-rows.ts";
import type { Sampler, SamplerOptions } from "../sampler.ts";
import type { FeedOptions, Session } from "../session.ts";

/** One token of a text. */
export interface DecodedToken {
  readonly id: number;
  /** Blocks that ran before it was proposed: an exit's, or all of the model's. */
  readonly blocks: number;
}

/** What bounds one round of decoding. */
export interface RoundLimits {
  /** Tokens that the round may give, at least one: what is left of the wanted count and of the context. */
  readonly tokens: number;
  /** Whether an id ends the text: nothing is wanted after it. */
  readonly ends: (id: number) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/** Tokens that came from one depth. */
export interface TokensAtDepth {
  /** Blocks run. */
  readonly blocks: number;
  readonly tokens: number;
}

/** What a decoder did, the prompt left out but for its first token. */
export interface DecodingStatistics {
  /** The drafter's. */
  readonly kind: string;
  /** Tokens given, by the blocks that ran before they were proposed; rising. */
  readonly depths: readonly TokensAtDepth[];
  /** Draft tokens proposed, those that the full model took, and the others. */
  readonly drafted: number;
  readonly accepted: number;
  readonly wasted: number;
  /** Passes to the top that took more than one row along: verifications, and catching up. */
  readonly sharedPasses: number;
  /** Rounds without drafts, because plain decoding was expected to be as fast. */
  readonly plainRounds: number;
}

/** Chooses the tokens that continue a session. It appends what it gives to the history that it was made with. */
export interface TokenDecoder {
  readonly statistics: DecodingStatistics;
  /**
   * Feeds the prompt and gives the token after it. Throws Interrupted where the signal stops it; nothing is fed then.
   */
  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken>;
  /**
   * The next tokens, at least one, at most `limits.tokens`. Throws Interrupted; the session then holds no more than was
   * given.
   */
  next(limits: RoundLimits): Promise<readonly DecodedToken[]>;
  /** Leaves the session fit for others: it holds the ids given, the last excepted. */
  close(): void;
}

/** What every decoder works with. */
export interface DecoderParts {
  readonly session: Session;
  readonly sampler: Sampler;
  /** What the sampler was made with, and whether it draws. */
  readonly sampling: Partial<SamplerOptions>;
  readonly draws: boolean;
  /** Every id of the sequence, the prompt's first; the decoder appends. */
  readonly history: number[];
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** Counts what a decoder does. */
export class DecodingCounts {
  drafted = 0;
  accepted = 0;
  sharedPasses = 0;
  plainRounds = 0;
  private readonly byDepth = new Map<number, number>();

  /** Counts a token given. */
  add({ blocks }: DecodedToken): void {
    this.byDepth.set(blocks, (this.byDepth.get(blocks) ?? 0) + 1);
  }

  /** As they are now. */
  statistics(kind: string): DecodingStatistics {
    const { drafted, accepted, sharedPasses, plainRounds } = this;
    const depths = [...this.byDepth].sort(([a], [b]) => a - b).map(([blocks, tokens]) => ({ blocks, tokens }));
    return { kind, depths, drafted, accepted, wasted: drafted - accepted, sharedPasses, plainRounds };
  }
}

/** Feeds ids through every block and chooses the token after them. */
export async function feedAndChoose(
  { session, sampler, history }: Pick<DecoderParts, "session" | "sampler" | "history">,
  ids: ArrayLike<number>,
  options: FeedOptions,
  counts: DecodingCounts,
): Promise<DecodedToken> {
  const output = await session.feedFor(wantedBy(sampler), ids, options);
  const id = chooseAfter(output, 0, sampler, history);
  const token = { id, blocks: session.executor.spec.blocks.length };
  history.push(id);
  counts.add(token);
  return token;
}
