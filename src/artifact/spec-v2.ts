import { z } from "zod";
import { AttentionSpec, BlockSpec, DecoderSpec, NormSpec } from "../model/decoder-spec.ts";

/** Words that format version 2 had not: a block with one norm before each half and nothing else around them. */
const AttentionV2 = AttentionSpec.omit({ qNorm: true, kNorm: true }).extend({ qkNorm: NormSpec.nullable() });
const BlockV2 = BlockSpec.omit({ residualFactor: true, attentionNorms: true, mlpNorms: true }).extend({
  attentionNorm: NormSpec.nullable(),
  attention: AttentionV2.nullable(),
  mlpNorm: NormSpec.nullable(),
});
const SpecV2 = DecoderSpec.omit({ embeddingScale: true, logitFactor: true }).extend({ blocks: z.array(BlockV2) });

/** The field `spec` of a manifest of format version 2, in today's words; refuses what that version could not say. */
export const HasSpecV2 = z.looseObject({
  spec: SpecV2.transform(
    ({ blocks, ...rest }): DecoderSpec => ({ ...rest, embeddingScale: 1, logitFactor: 1, blocks: blocks.map(today) }),
  ),
});

function today({ attentionNorm, mlpNorm, attention, ...rest }: z.infer<typeof BlockV2>): BlockSpec {
  return {
    ...rest,
    residualFactor: 1,
    attentionNorms: { pre: attentionNorm, post: null },
    attention: attention && attentionToday(attention),
    mlpNorms: { pre: mlpNorm, post: null },
  };
}

function attentionToday({ qkNorm, ...rest }: z.infer<typeof AttentionV2>): AttentionSpec {
  return { ...rest, qNorm: qkNorm, kNorm: qkNorm };
}
