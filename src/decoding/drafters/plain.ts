import { z } from "zod";
import { EveryBlockDecoder } from "../speculative/every-block.ts";
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
  executor: (executor) => executor,
  create: (parts) => new EveryBlockDecoder(parts, { kind: "plain", through: parts.session.executor }),
  describe: ({ kind }) => ({ kind }),
});
