import type { DecoderSpec } from "../model/decoder-spec.ts";
import { Random } from "../tensor/random.ts";

/** Ids drawn from the whole vocabulary; the same for the same `name`. */
export function randomIds({ vocabSize }: DecoderSpec, count: number, name: string): Int32Array {
  const random = new Random(0).fork(name);
  return Int32Array.from({ length: count }, () => random.nextInt(vocabSize));
}
