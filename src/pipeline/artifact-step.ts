import path from "node:path";
import { z } from "zod";
import { hashFile } from "../artifact/content-hash.ts";
import { trunkSha256 } from "../artifact/exits/add.ts";
import { Sha256 } from "../artifact/manifest.ts";
import { ArtifactWriter } from "../artifact/writer.ts";
import { Interrupted, UserError } from "../errors.ts";
import type { Maths } from "../maths/maths.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { memoryWithoutExits } from "../model/exit-bytes.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import { matrixQuantizerOf } from "../quantization/index.ts";
import { quantizeModel } from "../quantization/quantize-model.ts";
import { TOOL_VERSION } from "../version.ts";
import type { CalibrationStep } from "./calibration-step.ts";
import type { Recipe } from "./recipe.ts";
import type { RunOptions } from "./run-options.ts";
import type { ShippedPlan } from "./shipped-plan.ts";
import type { WeightsStep } from "./weights-step.ts";

/** What `artifact.json` holds: which artifact was written. */
export const ArtifactStep = z.strictObject({ manifestSha256: Sha256 });
export type ArtifactStep = z.infer<typeof ArtifactStep>;

/** What the artifact's bytes depend on. */
export async function artifactInputs(
  source: string,
  shippedKey: string,
  tokenizer: Tokenizer,
  recipe: Recipe,
): Promise<unknown> {
  const hashes = tokenizer.files.map(async (name) => [name, (await hashFile(path.join(tokenizer.label, name))).sha256]);
  return { source, shippedKey, tokenizer: await Promise.all(hashes), recipe: trunkRecipe(recipe) };
}

/** What packing is given. */
export interface PackWork {
  readonly checkpoint: Checkpoint;
  readonly weights: WeightsStep;
  readonly tokenizer: Tokenizer;
  readonly calibration: CalibrationStep | null;
  readonly shipped: ShippedPlan;
  /** Where the artifact comes to lie. */
  readonly folder: string;
  /** Names all that the bytes depend on. */
  readonly key: string;
  readonly options: RunOptions & WorkOptions;
  /** Packs; the bytes do not depend on which. */
  readonly maths: Maths;
}

/**
 * Quantizes and packs in execution order; a stopped run keeps its finished blocks and goes on from there. The artifact has no exits yet: the
 * plan left room for them, its own memory sum is of what is there.
 */
export async function packArtifact(work: PackWork): Promise<ArtifactStep> {
  const { checkpoint, tokenizer, shipped, folder, key, maths } = work;
  const plan = { ...shipped.plan, memory: memoryWithoutExits(shipped.plan.memory) };
  const { recipe, onProgress, signal } = work.options;
  const spec = withStopTokens(checkpoint.spec, tokenizer);
  const writer = await ArtifactWriter.open({ folder, key, spec, plan, overwrite: true });
  try {
    const quantizer = matrixQuantizerOf(recipe.quantize.quantizer);
    const packed = shipped.packed ?? undefined;
    await quantizeModel({ source: checkpoint, packed, quantizer, maths, writer, onProgress, signal });
    const { manifestSha256 } = await writer.finish(
      { tokenizer: { folder: tokenizer.label, files: tokenizer.files }, provenance: provenanceOf(work) },
      { signal },
    );
    return { manifestSha256 };
  } catch (error) {
    if (error instanceof Interrupted) await writer.suspend();
    else await writer.abort();
    throw error;
  }
}

/** Null when the artifact of a finished step is still there, with or without exits, else why it is written anew. */
export async function sameArtifact(folder: string, { manifestSha256 }: ArtifactStep): Promise<string | null> {
  try {
    return (await trunkSha256(folder)) === manifestSha256 ? null : "another artifact lies in its place";
  } catch (error) {
    if (error instanceof UserError) return "the artifact is not there any more";
    throw error;
  }
}

/** What of a recipe the packed model depends on: exits that are trained on it leave it as it is, but for the room that its plan left them. */
function trunkRecipe({ exits: _, ...recipe }: Recipe): Omit<Recipe, "exits"> {
  return recipe;
}

/** Chat models name some of their stop tokens beside the tokenizer only. */
function withStopTokens(spec: DecoderSpec, tokenizer: Tokenizer): DecoderSpec {
  return { ...spec, eosTokens: [...new Set([...spec.eosTokens, ...tokenizer.eosTokens])] };
}

function provenanceOf({ weights, calibration, shipped: { plan, guard, learning }, options: { recipe } }: PackWork) {
  return {
    toolVersion: TOOL_VERSION,
    source: { id: weights.checkpointId, files: weights.files },
    calibrationId: calibration?.id ?? null,
    scorer: plan.scorer,
    quantizer: recipe.quantize.quantizer,
    ...(guard ? { guard } : {}),
    ...(learning ? { learning } : {}),
    recipe: trunkRecipe(recipe),
    seed: recipe.seed,
  };
}
