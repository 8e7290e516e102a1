import path from "node:path";
import { z } from "zod";
import { limitTokens } from "../../calibration/sequences.ts";
import { nullOn } from "../../errors.ts";
import { readJsonFile, writeFileAtomic } from "../../formats/files.ts";
import { PRUNING_KIND_IDS, PRUNING_KINDS } from "../../pruning/index.ts";
import { measureSensitivity, type Sensitivities } from "../../pruning/sensitivity.ts";
import { needsDivergence, SPREADS } from "../../pruning/spreads.ts";
import type { Job, Step } from "../job.ts";
import { kindsOf, pruneSettingsOf, prunesByPlan } from "../prune-settings.ts";
import { pruningWorkOf } from "../pruned-model.ts";
import type { Recipe } from "../recipe.ts";
import { readableJson } from "../step-key.ts";
import { calibrationStep } from "./calibration.ts";
import { weightsStep } from "./weights.ts";

/** Calibration tokens that sensitivity is measured on, at most; a scorer's option `tokens` may say fewer. */
const SENSITIVITY_TOKENS = 2048;

const numbers = z.array(z.number());
const BlockSensitivity = z.strictObject({
  kept: z.array(z.number().int().nonnegative()),
  relative: numbers,
  mse: numbers,
  kl: numbers.nullable(),
});
/** By block and kind; null: the block has nothing of it to lose. */
const Blocks = z.array(z.array(BlockSensitivity.nullable()));

/** What `sensitivity.json` holds: what pruning does to each block's output, or to the model's. */
export const Sensitivity = z.strictObject({
  /** What was tried, and the shares of a block's slices that were taken. */
  tries: z.array(z.strictObject({ kind: z.enum(PRUNING_KIND_IDS), ratios: numbers })),
  blocks: Blocks,
});
export type Sensitivity = z.infer<typeof Sensitivity>;

/** Prunes each block by itself in several ways, where the recipe spreads, or plans, by what that does. */
export const sensitivityStep: Step<Sensitivity> = {
  name: "sensitivity",
  schema: Sensitivity,
  wanted: (recipe) => prunesByPlan(recipe) || (!!recipe.prune?.ratio && SPREADS[recipe.prune.spread] !== null),

  async inputs(job) {
    await job.get(weightsStep);
    await job.get(calibrationStep);
    const tokens = tokensFor(job.recipe);
    return { tries: triesOf(job), divergences: divergesOf(job), tokens, executor: job.origin.executor };
  },

  /** A stopped run goes on at its block. */
  async compute(job, { scratch }) {
    const file = path.join(await scratch(), "blocks.json");
    const saved = (await nullOn("FILE_NOT_FOUND", () => readJsonFile(file, Blocks))) ?? [];
    const keep = (found: Sensitivities) => writeFileAtomic(file, readableJson(found));
    const work = await pruningWorkOf(job);
    const measured = limitTokens(work.sequences, tokensFor(job.recipe));
    // What is measured on is not what repairs have seen, where there is more.
    const rest = work.sequences.slice(measured.length);
    const sequences = rest.length > 0 ? rest : work.sequences;
    const named = triesOf(job);
    const tries = named.map(({ kind, ratios }) => ({ kind: PRUNING_KINDS[kind], ratios }));
    const divergences = divergesOf(job);
    const found = await measureSensitivity({ ...work, tries, divergences, sequences, measured, saved, keep });
    return { tries: named, blocks: found.map((ofBlock) => [...ofBlock]) };
  },
};

/** A plan weighs cuts by what they do to the model's output. */
function divergesOf({ recipe }: Job): boolean {
  return prunesByPlan(recipe) || needsDivergence(pruneSettingsOf(recipe).spread);
}

function triesOf({ recipe }: Job) {
  return kindsOf(pruneSettingsOf(recipe)).map((kind) => {
    const { probes, ratios } = PRUNING_KINDS[kind];
    return { kind, ratios: [...(prunesByPlan(recipe) ? ratios : probes)] };
  });
}

function tokensFor({ score }: Recipe): number {
  const { tokens } = score.options;
  return typeof tokens === "number" ? Math.min(tokens, SENSITIVITY_TOKENS) : SENSITIVITY_TOKENS;
}
