import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { BackendChoice } from "./backend-names.ts";
import { plannedExecutor } from "./create-executor.ts";
import type { ExecutorInfo } from "./executor-info.ts";
import { EXECUTORS, type ExecutorChoice, kindOf } from "./executors.ts";

/**
 * Resident bytes of a tokenizer for each token of its vocabulary: what stays, and, more for a while, what reading it
 * takes. Measured on those of SmolLM2 (49,152 tokens) and Qwen2.5 (151,936): 0.23 and 0.28 KiB, 0.8 and 0.9 KiB.
 */
const TOKENIZER_BYTES = { kept: 300, reading: 950 } as const;

/** Resident bytes of a process beside its model; the model's vocabulary is its tokenizer's. */
export interface ProcessBase {
  /** Beside everything else, as long as the model runs. */
  readonly runtimeBaseBytes: number;
  /** While the tokenizer is read, before anything of the model is there. */
  readonly openingBytes: number;
}

/** The base of a process in which that executor runs the model. */
export function runtimeBase(
  { executor, backend }: Pick<ExecutorInfo, "executor" | "backend">,
  spec: Pick<DecoderSpec, "vocabSize">,
): ProcessBase {
  return withTokenizer(EXECUTORS[kindOf({ executor })].baseBytes(backend), spec);
}

/** The base that a plan counts with: that of the executor that it is made for. */
export function plannedBase(
  options: { readonly executor: ExecutorChoice; readonly backend: BackendChoice },
  spec: Pick<DecoderSpec, "vocabSize">,
): ProcessBase {
  return withTokenizer(EXECUTORS[plannedExecutor(options)].baseBytes(options.backend), spec);
}

function withTokenizer(baseBytes: number, { vocabSize }: Pick<DecoderSpec, "vocabSize">): ProcessBase {
  return {
    runtimeBaseBytes: baseBytes + TOKENIZER_BYTES.kept * vocabSize,
    openingBytes: baseBytes + TOKENIZER_BYTES.reading * vocabSize,
  };
}
