import { z } from "zod";
import type { WorkOptions } from "../../progress.ts";
import {
  type DecodedToken,
  type DecoderParts,
  DecodingCounts,
  type DecodingStatistics,
  feedAndChoose,
  type RoundLimits,
  type TokenDecoder,
} from "../speculative/decoder.ts";
import { defineDrafter } from "./drafter.ts";

export interface PlainOptions {
  readonly kind: "plain";
}

/** Plain decoding: what others are compared with, and what is left where nothing else will do. */
export const PLAIN = defineDrafter({
  kind: "plain",
  what: "every block for every token",
  lossless: true,
  unasked: false,
  needs: null,
  options: z.strictObject({}),
  reports: [],
  bench: null,
  choose: async (): Promise<PlainOptions> => ({ kind: "plain" }),
  create: (parts) => new PlainDecoder(parts),
  describe: ({ kind }) => ({ kind }),
});

/** Every block for every token. */
class PlainDecoder implements TokenDecoder {
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
