import { z } from "zod";
import { KvType } from "../../model/kv-type.ts";
import { LatencySettings } from "../optimal/latency-model.ts";
import { CodecChoice } from "./codec-choice.ts";
import { RuleText } from "./rules.ts";

/** The recipe's `plan` part but for the allocator: which codecs, under which rules. */
export const ProblemSettings = z.strictObject({
  /** Codecs of the blocks' matrices, one a width; `optimal` takes any number a width. */
  codecs: z.array(CodecChoice).min(1).default(["16", "q8s-g32", "q4s-g32"]),
  embedding: CodecChoice.default("8 bits"),
  /** Output head; null: as the embedding. */
  head: CodecChoice.nullable().default(null),
  /** Codecs that `optimal` may give to embedding and output head; empty: the two settings above stand. */
  embeddingCodecs: z.array(CodecChoice).default([]),
  kvType: KvType.default("f16"),
  /** KV types that `optimal` may choose from where command and device name none; empty: `kvType` stands. */
  kvChoices: z.array(KvType).default([]),
  /** Globs; matrices of a block that one of them matches share a codec under `optimal` (`attn.{q,k,v}`). */
  ties: z.array(z.string().min(1)).default([]),
  /** A bound on the time of a token, for `optimal`. */
  latency: LatencySettings.nullable().default(null),
  /** Glob over matrices (`mlp.down`, `blocks.{0..3}.*`) -> effect; the last rule that matches a matrix counts. */
  rules: z.record(z.string().min(1), RuleText).default({}),
});
export type ProblemSettings = z.infer<typeof ProblemSettings>;
