import { z } from "zod";
import { bareSha256 } from "../../artifact/bare.ts";
import { type Provenance, Sha256 } from "../../artifact/manifest.ts";
import { sourceContents } from "../../artifact/source-contents.ts";
import { ArtifactWriter } from "../../artifact/writer.ts";
import { Interrupted, UserError } from "../../errors.ts";
import { changedSource } from "../../formats/file-mark.ts";
import { memoryWithAdapter } from "../../model/adapter-bytes.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { memoryWithoutExits } from "../../model/exit-bytes.ts";
import type { MemorySum } from "../../model/memory-sum.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { matrixQuantizerOf } from "../../quantization/index.ts";
import { quantizeModel } from "../../quantization/quantize-model.ts";
import { TOOL_VERSION } from "../../version.ts";
import type { Job, Step } from "../job.ts";
import { packedModelOf, pruningOf } from "../packed-model.ts";
import type { Recipe } from "../recipe.ts";
import { type ShippedPlan, shippedPlan } from "../shipped.ts";
import { calibrationStep } from "./calibration.ts";
import { weightsStep } from "./weights.ts";

/** What `artifact.json` holds: which artifact was written. */
export const ArtifactMade = z.strictObject({ manifestSha256: Sha256 });
export type ArtifactMade = z.infer<typeof ArtifactMade>;

/**
 * Quantizes and packs in execution order; a stopped run keeps its finished blocks and goes on from there. The artifact
 * has no adapter and no exits yet: the plan left room for them, its own memory sum is of what is there.
 */
export const artifactStep: Step<ArtifactMade> = {
  name: "artifact",
  schema: ArtifactMade,
  perDevice: true,
  id: ({ manifestSha256 }) => manifestSha256,

  async inputs(job) {
    await job.once(packedModelOf);
    await job.once(shippedPlan);
    const tokenizer = job.facts.tokenizer.files.map(({ name, sha256 }) => [name, sha256]);
    return { tokenizer, recipe: trunkRecipe(job.recipe) };
  },

  async compute(job, { key }) {
    const { tokenizer } = job.facts;
    const { maths } = job.origin;
    const { recipe, onProgress, signal } = job.options;
    const shipped = await job.once(shippedPlan);
    const { source } = shipped.model;
    const plan = { ...shipped.plan, memory: memoryOfWeights(source.spec, shipped.plan.memory) };
    const writer = await ArtifactWriter.open({
      ...{ folder: job.artifactFolder, key, spec: withStopTokens(source.spec, tokenizer), plan, overwrite: true },
    });
    try {
      const quantizer = matrixQuantizerOf(recipe.quantize.quantizer);
      const packed = shipped.packed ?? undefined;
      await quantizeModel({ source, packed, quantizer, maths, writer, onProgress, signal });
      const copied = { folder: tokenizer.label, files: tokenizer.files };
      const provenance = await provenanceOf(job, shipped);
      await assertContents(job, signal);
      const { manifestSha256 } = await writer.finish({ tokenizer: copied, provenance }, { signal });
      return { manifestSha256 };
    } catch (error) {
      if (error instanceof Interrupted) await writer.suspend();
      else await writer.abort();
      throw error;
    }
  },

  check: (job, done) => sameArtifact(job.artifactFolder, done),
};

/** Null when the artifact of a finished step is still there, whatever was added to it, else why it is written anew. */
export async function sameArtifact(folder: string, { manifestSha256 }: ArtifactMade): Promise<string | null> {
  try {
    return (await bareSha256(folder)) === manifestSha256 ? null : "another artifact lies in its place";
  } catch (error) {
    if (error instanceof UserError) return "the artifact is not there any more";
    throw error;
  }
}

/**
 * What of a recipe the packed model depends on: what is added to it later leaves it as it is, but for the room that its
 * plan left for that.
 */
function trunkRecipe(recipe: Recipe): Omit<Recipe, "tune" | "exits" | "schedule"> {
  const { tune: _tune, exits: _exits, schedule: _schedule, ...trunk } = recipe;
  return trunk;
}

function memoryOfWeights(spec: DecoderSpec, memory: MemorySum): MemorySum {
  return memoryWithAdapter(memoryWithoutExits(memory), spec, null);
}

/** Chat models name some of their stop tokens beside the tokenizer only. */
function withStopTokens(spec: DecoderSpec, tokenizer: Tokenizer): DecoderSpec {
  return { ...spec, eosTokens: [...new Set([...spec.eosTokens, ...tokenizer.eosTokens])] };
}

/**
 * What was packed is what provenance names. Marks tell of every change, but where a disk keeps none of them the
 * contents do: they are read once more. Throws UserError `SOURCE_CHANGED`.
 */
async function assertContents(job: Job, signal: AbortSignal | undefined): Promise<void> {
  await job.assertSource();
  const { checkpointId } = (await job.get(weightsStep)).value;
  const { checkpoint } = job.origin;
  if ((await sourceContents(checkpoint, signal)).id !== checkpointId) throw changedSource(checkpoint.label);
}

async function provenanceOf(job: Job, { model, plan, guard, learning }: ShippedPlan): Promise<Provenance> {
  const { recipe } = job;
  const { value: weights } = await job.get(weightsStep);
  const pruning = await pruningOf(job, model);
  const { adapter } = job.origin;
  return {
    toolVersion: TOOL_VERSION,
    source: { id: weights.checkpointId, files: weights.files },
    calibrationId: (await job.ask(calibrationStep))?.id ?? null,
    ...(pruning ? { pruning } : {}),
    ...(adapter ? { adapter: adapter.identity } : {}),
    scorer: plan.scorer,
    quantizer: recipe.quantize.quantizer,
    ...(guard ? { guard } : {}),
    ...(learning ? { learning } : {}),
    recipe: trunkRecipe(recipe),
    seed: recipe.seed,
  };
}
