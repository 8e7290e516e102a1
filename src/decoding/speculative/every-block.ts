import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import {
  type DecodedToken,
  type DecoderParts,
  DecodingCounts,
  type DecodingStatistics,
  feedAndChoose,
  type RoundLimits,
  type TokenDecoder,
} from "./decoder.ts";

/** Whose tokens they are, and the executor that runs the passes: the session's own, or one over the same caches. */
interface EveryBlockOptions {
  readonly kind: string;
  readonly through: AnyExecutor;
}

/** Every block for every token, one token a pass. */
export class EveryBlockDecoder implements TokenDecoder {
  private readonly parts: DecoderParts;
  private readonly options: EveryBlockOptions;
  private readonly counts = new DecodingCounts();

  constructor(parts: DecoderParts, options: EveryBlockOptions) {
    this.parts = parts;
    this.options = options;
  }

  get statistics(): DecodingStatistics {
    return this.counts.statistics(this.options.kind);
  }

  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken> {
    const { through } = this.options;
    return feedAndChoose(this.parts, promptIds, { ...options, through }, this.counts);
  }

  async next({ signal }: RoundLimits): Promise<readonly DecodedToken[]> {
    const { through } = this.options;
    return [await feedAndChoose(this.parts, this.parts.history.slice(-1), { signal, through }, this.counts)];
  }

  close(): void {}
}
