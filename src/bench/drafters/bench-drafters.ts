import { exitSetOf } from "../../decoding/exits/exit-set.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import { MOST_DRAFTS } from "../../decoding/speculative/drafted-round.ts";
import { UserError } from "../../errors.ts";
import type { WorkOptions } from "../../progress.ts";
import { describeMachine } from "../machine.ts";
import { predictSpeed } from "./cost-model.ts";
import { measureDrafters } from "./measure.ts";
import { measureDraftCosts } from "./measure-costs.ts";
import { perfectUse } from "./perfect-exits.ts";
import { type PromptOptions, readPrompts } from "./prompts.ts";
import type { DraftersResult } from "./result.ts";
import { type DrafterSweep, drafterSetups } from "./setups.ts";
import { compareRows, summarizeDrafters } from "./summarize.ts";

export interface BenchDraftersOptions extends WorkOptions {
  readonly prompts: PromptOptions;
  readonly generateTokens: number;
  readonly sweep: DrafterSweep;
  /** Of the measured parts of the cost model. */
  readonly repeats: number;
}

/**
 * Measures ways to draft with an artifact's exits beside plain decoding, on real prompts, greedily. Throws UserError
 * NO_EXITS where the model has none, EPSILON and DRAFT_LIMIT for a sweep out of range, PROMPTS and BENCH as its parts.
 */
export async function benchDrafters(model: OpenModel, options: BenchDraftersOptions): Promise<DraftersResult> {
  const { generateTokens, sweep, repeats, onProgress, signal } = options;
  const loaded = await model.loadExits();
  if (!loaded) {
    throw new UserError(
      "NO_EXITS",
      `${model.folder}: expected an artifact with early exits, found none`,
      "layerwise exits trains them",
    );
  }
  const exits = exitSetOf(loaded.table, loaded.ids);
  const { executor, tokenizer, contextTokens, kvType } = model;
  const prompts = await readPrompts(tokenizer, options.prompts);
  const tokens = prompts.ids.reduce((sum, { length }) => sum + length, 0);
  const measured = await measureDrafters(model, await drafterSetups(exits, executor.spec, sweep, model), {
    ...{ prompts: prompts.ids, generateTokens, onProgress, signal },
  });
  // Half of the text is there in the mean.
  const position = Math.round(tokens / prompts.ids.length + generateTokens / 2);
  const costs = await measureDraftCosts(executor, exits, {
    ...{ position, contextTokens, kvType, repeats, onProgress, signal },
  });
  const texts = prompts.ids.map((prompt, i) => ({ prompt, ids: measured[0]?.pairs[i].plain.ids ?? [] }));
  const use = await perfectUse(executor, exits, { texts, draftLimit: MOST_DRAFTS, signal });
  const predicted = predictSpeed(costs, use);
  const rows = summarizeDrafters(measured, costs, executor.spec.blocks.length);
  return {
    model: model.folder,
    executor: executor.info,
    kvType,
    confidence: exits.confidence,
    blocks: executor.spec.blocks.length,
    exits: exits.exits.map(({ blocks }) => blocks),
    prompts: { source: prompts.source, count: prompts.ids.length, tokens },
    generateTokens,
    costs,
    rows,
    comparisons: compareRows(rows),
    perfect: predicted && { predicted, coverage: use.drafted / use.tokens },
    machine: describeMachine(),
    date: new Date().toISOString(),
  };
}
