import type { DecoderSpec } from "../decoder-spec.ts";

/** Where a parameter lies in a checkpoint: the tensor and, for fused tensors, which of its rows, in order. */
export interface TensorSource {
  /** Tensor names to try in order: as the whole model is saved, then as its bare decoder is. */
  readonly names: readonly string[];
  /** Full shape of the stored tensor. */
  readonly shape: readonly number[];
  /** Row ranges [from, to) that make up the parameter, in order; null for the whole tensor. */
  readonly rowRanges: readonly (readonly [number, number])[] | null;
  /** Added to every number as it is read, in f32: 1 for norms stored as w that multiply with 1 + w. */
  readonly offset: number;
}

/** A `config.json` understood: the spec, and for every id of matricesOf(spec) and vectorsOf(spec) where it lies. */
export interface ModelDescription {
  readonly spec: DecoderSpec;
  readonly sources: ReadonlyMap<string, TensorSource>;
  /** Where a tied model may store its output head all the same; null where the head is a source. */
  readonly tiedHead: TensorSource | null;
  /** Tensor names that may be present and mean nothing (buffers such as `rotary_emb.inv_freq`). */
  readonly ignored: readonly RegExp[];
}
