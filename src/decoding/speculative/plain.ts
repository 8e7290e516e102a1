import type { WorkOptions } from "../../progress.ts";
import { chooseAfter, wantedBy } from "../output-rows.ts";
import type { Sampler } from "../sampler.ts";
import type { Session } from "../session.ts";
import {
  type DecodedToken,
  DecodingCounts,
  type DecodingStatistics,
  type RoundLimits,
  type TokenDecoder,
} from "./decoder.ts";

/** What every decoder works with. */
export interface DecoderParts {
  readonly session: Session;
  readonly sampler: Sampler;
  /** Every id of the sequence, the prompt's first; the decoder appends. */
  readonly history: number[];
}

/** Every block for every token. */
export class PlainDecoder implements TokenDecoder {
  private readonly parts: DecoderParts;
  private readonly counts = new DecodingCounts();

  constructor(parts: DecoderParts) {
    this.parts = parts;
  }

  get statistics(): DecodingStatistics {
    return this.counts.statistics("plain");
  }

  first(promptIds: ArrayLike<number>, options: WorkOptions): Promise<DecodedToken> {
    return feedAndChoose(this.parts, promptIds, options, this.counts);
  }

  async next({ signal }: RoundLimits): Promise<readonly DecodedToken[]> {
    return [await feedAndChoose(this.parts, this.parts.history.slice(-1), { signal }, this.counts)];
  }

  close(): void {}
}

/** Feeds ids through every block and chooses the token after them. */
export async function feedAndChoose(
  { session, sampler, history }: DecoderParts,
  ids: ArrayLike<number>,
  options: WorkOptions,
  counts: DecodingCounts,
): Promise<DecodedToken> {
  const output = await session.feedFor(wantedBy(sampler), ids, options);
  const id = chooseAfter(output, 0, sampler, history);
  const token = { id, blocks: session.executor.spec.blocks.length };
  history.push(id);
  counts.add(token);
  return token;
}
