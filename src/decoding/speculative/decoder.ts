import type { WorkOptions } from "../../progress.ts";

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
  readonly kind: "plain" | "early-exit" | "dssd";
  /** Tokens given, by the blocks that ran before they were proposed; rising. */
  readonly depths: readonly TokensAtDepth[];
  /** Draft tokens that exits proposed, those that the full model took, and the others. */
  readonly drafted: number;
  readonly accepted: number;
  readonly wasted: number;
  /** Passes to the top that took more than one row along: verifications, and catching up. */
  readonly sweeps: number;
  /** Rounds in which no exit was asked, because plain decoding was expected to be as fast. */
  readonly plainRounds: number;
}

/** Chooses the tokens that continue a session. It appends what it gives to the history that it was made with. */
export interface TokenDecoder {
  readonly statistics: DecodingStatistics;
  /** Feeds the prompt and gives the token after it. Throws Interrupted where the signal stops it; nothing is fed then. */
  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken>;
  /** The next tokens, at least one, at most `limits.tokens`. Throws Interrupted; the session then holds no more than was given. */
  next(limits: RoundLimits): Promise<readonly DecodedToken[]>;
  /** Leaves the session fit for others: it holds the ids given, the last excepted. */
  close(): void;
}

/** Counts what a decoder does. */
export class DecodingCounts {
  drafted = 0;
  accepted = 0;
  sweeps = 0;
  plainRounds = 0;
  private readonly byDepth = new Map<number, number>();

  /** Counts a token given. */
  add({ blocks }: DecodedToken): void {
    this.byDepth.set(blocks, (this.byDepth.get(blocks) ?? 0) + 1);
  }

  /** As they are now. */
  statistics(kind: DecodingStatistics["kind"]): DecodingStatistics {
    const { drafted, accepted, sweeps, plainRounds } = this;
    const depths = [...this.byDepth].sort(([a], [b]) => a - b).map(([blocks, tokens]) => ({ blocks, tokens }));
    return { kind, depths, drafted, accepted, wasted: drafted - accepted, sweeps, plainRounds };
  }
}
