import { UserError } from "../errors.ts";
import type { KvType } from "../model/kv-type.ts";
import { beyondHint, firstNotFinite } from "../passes/find-not-finite.ts";
import type { Job } from "./job.ts";
import { plannedModelOf } from "./model.ts";
import type { RunRequest } from "./plan-request.ts";
import { calibrationStep } from "./steps/calibration.ts";
import { weightsStep } from "./steps/weights.ts";

/** Half of the largest f16: packed weights are not quite the checkpoint's. */
const SAFE_BOUND = 65504 / 2;
/** Calibration tokens that keys and values are looked at on, at most, in whole sequences. */
const PROBE_TOKENS = 2048;
/** What f16 is replaced by: it takes fewer bytes, so that what fits a budget still does. */
const INSTEAD: KvType = "q8";

/** What is asked of a plan once it is known what keys and values reach. */
export interface RangedRequest {
  readonly request: RunRequest;
  /** For people: that another type is planned than would have been, and why; null: none is. */
  readonly note: string | null;
}

/**
 * The run's request for `job.once`, without f16 for keys and values that are beyond it: never where the weights bound
 * them, else as calibration text shows. Throws UserError KV_RANGE where the run asks for f16 by name.
 */
export async function rangedRequest(job: Job): Promise<RangedRequest> {
  const { request } = await job.once(plannedModelOf);
  const { kvType, kvChoices = [], kvAsked } = request;
  const { keyValueBound } = (await job.get(weightsStep)).value;
  const kept = { request, note: null };
  if (![kvType, ...kvChoices].includes("f16")) return kept;
  if (keyValueBound !== null && keyValueBound <= SAFE_BOUND) return kept;
  const block = await firstBeyondF16(job);
  if (block === null) return kept;
  const found = `${block}: keys or values are beyond f16 (65,504) on the calibration text`;
  if (kvAsked === "f16") throw new UserError("KV_RANGE", found, beyondHint("f16"));
  const choices = kvChoices.filter((type) => type !== "f16");
  return {
    request: { ...request, kvType: kvType === "f16" ? INSTEAD : kvType, kvChoices: choices },
    note: `${found}: they are planned in ${choices.length > 0 ? choices.join(" or ") : INSTEAD}; --kv f32 keeps them exactly`,
  };
}

async function firstBeyondF16(job: Job): Promise<string | null> {
  const { sequences } = (await job.get(calibrationStep)).value;
  const executor = await job.executors((await job.once(plannedModelOf)).source);
  try {
    for (let i = 0, tokens = 0; i < sequences.length && tokens < PROBE_TOKENS; i++) {
      const found = await firstNotFinite(executor, Int32Array.from(sequences[i]), "f16", job.options.signal);
      if (found !== null) return found;
      tokens += sequences[i].length;
    }
    return null;
  } finally {
    await executor.dispose();
  }
}
