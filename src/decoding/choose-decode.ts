import { UserError } from "../errors.ts";
import { traitsOf } from "../runtime/executors.ts";
import type { DecodeKind } from "./decode-kinds.ts";
import { type ExitSet, exitSetOf, levelFor } from "./exits/exit-set.ts";
import type { OpenModel } from "./open-model.ts";
import { drawsTokens, type SamplerOptions } from "./sampler.ts";
import { checkedDraftLimit, type DecodeOptions, DRAFT_LIMIT } from "./speculative/create-decoder.ts";
import { expectedPlan } from "./speculative/start-plan.ts";

/** How a user wants tokens computed; what is left out is decided by the model. */
export interface DecodeRequest {
  readonly kind?: DecodeKind | undefined;
  /** Wanted agreement with the full model, of `early-exit` (default 0.9) and `dssd` (where it adapts what promises most, else 0.8). */
  readonly epsilon?: number | undefined;
  /** Of `dssd`, as are those of DecodeOptions. */
  readonly draftLimit?: number | undefined;
  readonly adapt?: boolean | undefined;
}

/** Drafts are verified, so that a wrong one costs time only: looser than where exits' answers are the text. */
const EPSILONS = { "early-exit": 0.9, dssd: 0.8 } as const;

/**
 * How a model decodes, with everything said that the request left out. Without a kind: DSSD where the model has exits and the text is plain
 * decoding's own for certain, which is at temperature 0 on the native executor, or where only exits could do what was asked; else plain.
 * Loads the exits. Throws UserError NO_EXITS where the model has none, EPSILON, DRAFT_LIMIT, and DECODE for settings that the kind has not.
 */
export async function chooseDecode(
  model: OpenModel,
  request: DecodeRequest = {},
  sampler: Partial<SamplerOptions> = {},
): Promise<DecodeOptions> {
  const { epsilon, draftLimit, adapt } = request;
  const draws = drawsTokens(sampler);
  const kind = request.kind ?? (await kindFor(model, request, draws));
  checkSettings(kind, request);
  if (kind === "plain") return { kind };
  const exits = await exitsOf(model);
  if (epsilon !== undefined) levelFor(exits, epsilon);
  const highest = exits.levels[exits.levels.length - 1].epsilon;
  if (kind === "early-exit") return { kind, exits, epsilon: epsilon ?? Math.min(EPSILONS[kind], highest) };
  if (draftLimit !== undefined) checkedDraftLimit(draftLimit);
  const settings = { kind, exits, adapt: adapt ?? !draws };
  const start = settings.adapt ? adaptiveStart(model, exits, { epsilon, draftLimit }) : null;
  if (start) return { ...settings, ...start };
  return { ...settings, epsilon: epsilon ?? Math.min(EPSILONS[kind], highest), draftLimit: draftLimit ?? DRAFT_LIMIT };
}

/** Where adapting starts: as asked, and in what was left open as it promises most; null where nothing is known of the exits. */
function adaptiveStart(
  model: OpenModel,
  exits: ExitSet,
  { epsilon, draftLimit }: Pick<DecodeRequest, "epsilon" | "draftLimit">,
) {
  const level = epsilon === undefined ? undefined : levelFor(exits, epsilon);
  const expected = expectedPlan(exits, model.executor.spec, { level, draftLimit });
  if (!expected) return null;
  const { plan } = expected;
  return {
    epsilon: epsilon ?? exits.levels[plan.level].epsilon,
    firstExit: plan.firstExit,
    draftLimit: plan.draftLimit,
  };
}

async function kindFor(model: OpenModel, request: DecodeRequest, draws: boolean): Promise<DecodeKind> {
  const { epsilon, draftLimit, adapt } = request;
  if (epsilon !== undefined || draftLimit !== undefined || adapt !== undefined) return "dssd";
  if (draws || !traitsOf(model.executor.info).rowExact) return "plain";
  return (await model.loadExits()) ? "dssd" : "plain";
}

function checkSettings(kind: DecodeKind, { epsilon, draftLimit, adapt }: DecodeRequest): void {
  const refuse = (setting: string, value: unknown, kinds: string) => {
    if (value === undefined) return;
    throw new UserError("DECODE", `${setting}: expected decode ${kinds}, found ${kind}`, `leave out ${setting}`);
  };
  if (kind === "plain") refuse("epsilon", epsilon, "early-exit or dssd");
  if (kind === "dssd") return;
  refuse("draft-limit", draftLimit, "dssd");
  refuse("adapt", adapt, "dssd");
}

async function exitsOf(model: OpenModel): Promise<ExitSet> {
  const loaded = await model.loadExits();
  if (loaded) return exitSetOf(loaded.table, loaded.ids);
  const { kind, folder } = model;
  throw new UserError(
    "NO_EXITS",
    `${folder}: expected early exits, found none`,
    kind === "artifact"
      ? `layerwise exits ${folder} makes them; --decode plain needs none`
      : "a checkpoint has none: compress it, then layerwise exits makes them; --decode plain needs none",
  );
}
