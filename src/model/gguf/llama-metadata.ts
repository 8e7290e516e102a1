import type { GgufValue } from "../../formats/gguf/metadata.ts";
import type { DecoderSpec } from "../decoder-spec.ts";
import { ropeInverseFrequencies } from "../rope.ts";
import type { LlamaBlock } from "./llama-tensors.ts";

const count = (value: number): GgufValue => ({ kind: "uint32", value });
const real = (value: number): GgufValue => ({ kind: "float32", value });
const text = (value: string): GgufValue => ({ kind: "string", value });

/** What llama.cpp needs to know of the model beside its tokenizer. */
export function llamaMetadata(spec: DecoderSpec, block: LlamaBlock, name: string): Map<string, GgufValue> {
  const { attention, mlp, eps } = block;
  const scaling = attention.rope?.scaling;
  return new Map<string, GgufValue>([
    ["general.architecture", text("llama")],
    ["general.name", text(name)],
    ["general.quantization_version", count(2)],
    ["llama.vocab_size", count(spec.vocabSize)],
    ["llama.context_length", count(spec.maxPositions)],
    ["llama.embedding_length", count(spec.hiddenSize)],
    ["llama.block_count", count(spec.blocks.length)],
    ["llama.feed_forward_length", count(mlp.up.rows)],
    ["llama.attention.head_count", count(attention.heads)],
    ["llama.attention.head_count_kv", count(attention.kvHeads)],
    ["llama.attention.key_length", count(attention.headDim)],
    ["llama.attention.value_length", count(attention.headDim)],
    ["llama.attention.layer_norm_rms_epsilon", real(eps)],
    ["llama.rope.dimension_count", count(attention.headDim)],
    ["llama.rope.freq_base", real(attention.rope?.theta ?? 0)],
    ...linearScaling(scaling?.kind === "linear" ? scaling.factor : null),
  ]);
}

function linearScaling(factor: number | null): [string, GgufValue][] {
  if (factor === null) return [];
  return [
    ["llama.rope.scaling.type", text("linear")],
    ["llama.rope.scaling.factor", real(factor)],
  ];
}

/**
 * Divisors of the rotary frequencies, the file's tensor `rope_freqs.weight`: Llama 3's scaling is said so. Null for the
 * others.
 */
export function ropeDivisors({ attention: { rope } }: LlamaBlock): Float32Array | null {
  if (rope?.scaling.kind !== "llama3") return null;
  const plain = ropeInverseFrequencies({ ...rope, scaling: { kind: "none" } }, "short").inverseFrequencies;
  const scaled = ropeInverseFrequencies(rope, "short").inverseFrequencies;
  return Float32Array.from(plain, (frequency, i) => frequency / scaled[i]);
}
