import type { BlockSpec, DecoderSpec, LinearSpec, NormSpec } from "../../src/model/decoder-spec.ts";

/** Why a model's residual stream cannot be rotated exactly; null where it can. */
export function rotationProblem(spec: DecoderSpec, { untie }: { readonly untie: boolean }): string | null {
  if (spec.tied && !untie) {
    return "found tied weights: the final norm's gain stands between embedding and output head, and only an untied head can take it in";
  }
  for (const [i, block] of spec.blocks.entries()) {
    const bare = unnormedPart(block);
    if (bare) return `found no norm before the ${bare} of block ${i}: it reads the residual stream as it is`;
    if (block.attentionNorms.post || block.mlpNorms.post) {
      return `found a norm after a half of block ${i}: its gain stands between the matrix and the residual stream`;
    }
  }
  const kinds = new Set(normsOf(spec).map(({ kind }) => kind));
  // Layer norms let the mean be taken out of the stream; RMS norms would miss it.
  return kinds.size > 1 ? "found both RMS and layer norms: taking the mean out for one changes the other" : null;
}

/** The spec of the rotated model: RMS norms, biases where layer norms had theirs, and a head of its own. */
export function rotatedSpec(spec: DecoderSpec): DecoderSpec {
  const layer = spec.finalNorm.kind === "layer";
  const norm = (of: NormSpec): NormSpec => ({ ...of, kind: "rms" });
  const input = (linear: LinearSpec): LinearSpec => ({ ...linear, bias: linear.bias || layer });
  const blocks = spec.blocks.map(
    (block): BlockSpec => ({
      ...block,
      attentionNorms: { pre: block.attentionNorms.pre && norm(block.attentionNorms.pre), post: null },
      mlpNorms: { pre: block.mlpNorms.pre && norm(block.mlpNorms.pre), post: null },
      attention: block.attention && {
        ...block.attention,
        q: input(block.attention.q),
        k: input(block.attention.k),
        v: input(block.attention.v),
      },
      mlp: block.mlp && { ...block.mlp, gate: block.mlp.gate && input(block.mlp.gate), up: input(block.mlp.up) },
    }),
  );
  return { ...spec, tied: false, headBias: spec.headBias || layer, blocks, finalNorm: norm(spec.finalNorm) };
}

/** Name of the norm that the MLP of a block reads: its own, or the attention's (Phi). */
export function mlpNormName(block: BlockSpec): "mlp.norm" | "attn.norm" {
  return block.mlpNorms.pre ? "mlp.norm" : "attn.norm";
}

function unnormedPart({ attention, attentionNorms, mlp, mlpNorms, residual }: BlockSpec): string | null {
  if (attention && !attentionNorms.pre) return "attention";
  const shared = residual === "parallel" && attentionNorms.pre;
  return mlp && !mlpNorms.pre && !shared ? "MLP" : null;
}

function normsOf(spec: DecoderSpec): NormSpec[] {
  const norms = spec.blocks.flatMap(({ attentionNorms, mlpNorms }) => [attentionNorms.pre, mlpNorms.pre]);
  return [...norms.filter((norm) => norm !== null), spec.finalNorm];
}
