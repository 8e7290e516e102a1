import { type DecoderSpec, matricesOf } from "../model/decoder-spec.ts";
import { blockName } from "../model/matrix-id.ts";

/** What a loss is measured of: a block or a matrix of one, the embedding, or the output head. */
export interface ScoredUnit {
  /** Its name in scores: `blocks.<i>`, a matrix's id, `embedding` or `head`. */
  readonly unit: string;
  readonly kind: "embedding" | "block" | "head";
  /**
   * The first block whose output it changes: a block's its own, the embedding's 0, the head's none (the number of
   * blocks).
   */
  readonly block: number;
}

/**
 * What losses are measured of, in order of `block`: embedding (with a tied head), every block or each of its matrices,
 * head.
 */
export function scoredUnits(spec: DecoderSpec, grain: "block" | "matrix"): ScoredUnit[] {
  const blocks = spec.blocks.map((_, block): ScoredUnit => ({ unit: blockName(block), kind: "block", block }));
  const matrices = matricesOf(spec).flatMap(({ id, block }): ScoredUnit[] =>
    block === null ? [] : [{ unit: id, kind: "block", block }],
  );
  const embedding: ScoredUnit = { unit: "embedding", kind: "embedding", block: 0 };
  const head: ScoredUnit = { unit: "head", kind: "head", block: spec.blocks.length };
  return [embedding, ...(grain === "block" ? blocks : matrices), ...(spec.tied ? [] : [head])];
}
