import { z } from "zod";
import type { Confidence } from "../../../artifact/exits/table.ts";
import { UserError } from "../../../errors.ts";
import { type ExitSet, levelFor } from "../../exits/exit-set.ts";
import { MOST_DRAFTS } from "../../speculative/drafted-round.ts";
import type { DrafterBench, DrafterVariant, SweptModel } from "../drafter.ts";
import type { DraftPlan } from "./controller.ts";
import { DEFAULT_EPSILON, DRAFT_LIMIT, type DssdOptions } from "./options.ts";
import { type ExpectedPlan, expectedPlan } from "./start-plan.ts";

type Variant = DrafterVariant<DssdOptions>;

const numbers = z.array(z.number());
const LENGTHS = [1, 2, 4, 6, 8, 12];
const LIMITS = [4, 8, 16];

/** What is swept. The paper's sweep of LayerSkip goes to 6 drafts; longer ones are there to see the end of it. */
const Sweep = z.strictObject({
  /** Drafts of a fixed exit; empty leaves fixed exits out. */
  draftLengths: numbers.default(LENGTHS).describe(`Drafts of a fixed exit, or none; default: ${LENGTHS.join()}`),
  /** Levels of DSSD, null: every calibrated one. */
  epsilons: numbers
    .nullable()
    .default(null)
    .describe("Levels of DSSD; default: all that the exits were calibrated for"),
  /** Most drafts of a round. Empty leaves DSSD out. */
  draftLimits: numbers.default(LIMITS).describe(`Most drafts of a round of DSSD, or none; default: ${LIMITS.join()}`),
});

/**
 * DSSD as it is measured. `fixed`: one exit answers every time and a fixed number of drafts is wanted, LayerSkip's
 * scheme (arXiv
 * 2404.16710) on the same heads; only an answer that is none of the head's ids ends a round before. `dssd`: thresholds
 * of a level and a draft limit; `adaptive`: the controller changes both as it pays.
 */
export const DSSD_BENCH: DrafterBench<DssdOptions> & { readonly sweep: typeof Sweep } = {
  kinds: {
    fixed: ({ exit }) => `exit ${exit}, fixed length`,
    dssd: ({ draftLimit }) => `DSSD, up to ${draftLimit}`,
    adaptive: () => "DSSD, adaptive",
  },
  sweep: Sweep,
  async variants(swept, asked) {
    const { exits } = swept;
    const sweep = Sweep.parse(asked);
    const epsilons = sweep.epsilons ?? exits.levels.map(({ epsilon }) => epsilon);
    for (const epsilon of epsilons) levelFor(exits, epsilon);
    checkDrafts("draft-lengths", sweep.draftLengths);
    checkDrafts("draft-limits", sweep.draftLimits);
    const fixed = exits.exits.flatMap((_, i) => sweep.draftLengths.map((length) => fixedVariant(exits, i, length)));
    const dssd = epsilons.flatMap((epsilon) =>
      sweep.draftLimits.map(
        (draftLimit): Variant => ({
          ...{ kind: "dssd", name: `DSSD ${epsilon}, up to ${draftLimit}`, exit: null, epsilon, draftLimit },
          decode: { kind: "dssd", exits, epsilon, draftLimit, adapt: false },
        }),
      ),
    );
    const adapts = epsilons.length > 0 && sweep.draftLimits.length > 0;
    return [...fixed, ...dssd, ...(adapts ? adaptiveVariants(swept, epsilons) : [])];
  },
};

function checkDrafts(name: string, counts: readonly number[]): void {
  const wrong = counts.find((drafts) => !Number.isInteger(drafts) || drafts < 1 || drafts > MOST_DRAFTS);
  if (wrong === undefined) return;
  throw new UserError("DRAFT_LIMIT", `${name}: expected whole numbers from 1 to ${MOST_DRAFTS}, found ${wrong}`);
}

function fixedVariant(exits: ExitSet, exit: number, draftLimit: number): Variant {
  const { blocks } = exits.exits[exit];
  const name = `exit ${blocks}, ${draftLimit} draft${draftLimit === 1 ? "" : "s"}`;
  return {
    ...{ kind: "fixed", name, exit: blocks, epsilon: null, draftLimit },
    decode: { kind: "dssd", exits: fixedExit(exits, exit), epsilon: 0, draftLimit, adapt: false },
  };
}

/**
 * The plan that promises most of the levels named, as it is and as a start; from the defaults where nothing is known of
 * them.
 */
function adaptiveVariants({ exits, spec }: SweptModel, epsilons: readonly number[]): Variant[] {
  const starts = epsilons.flatMap((epsilon) => expectedPlan(exits, spec, { level: levelFor(exits, epsilon) }) ?? []);
  const best = starts.reduce<ExpectedPlan | null>((most, one) => (most && most.ratio >= one.ratio ? most : one), null);
  const plan = best?.plan ?? {
    level: levelFor(exits, Math.min(DEFAULT_EPSILON, Math.max(...epsilons))),
    ...{ firstExit: 0, draftLimit: DRAFT_LIMIT },
  };
  const from = planned(exits, plan, true);
  return best ? [planned(exits, plan, false), from] : [from];
}

function planned(exits: ExitSet, { level, firstExit, draftLimit }: DraftPlan, adapt: boolean): Variant {
  const { epsilon } = exits.levels[level];
  const what = `${epsilon}, exit ${exits.exits[firstExit].blocks} on, up to ${draftLimit}`;
  return {
    ...(adapt ? { kind: "adaptive", name: `DSSD adaptive from ${what}` } : { kind: "dssd", name: `DSSD ${what}` }),
    ...{ exit: null, epsilon, draftLimit },
    decode: { kind: "dssd", exits, epsilon, draftLimit, firstExit, adapt },
  };
}

/** The same exits with one level, at which this exit answers however sure it is and no other is asked. */
export function fixedExit(exits: ExitSet, exit: number): ExitSet {
  const thresholds = exits.exits.map((_, i) => (i === exit ? surelyMet(exits.confidence) : null));
  return { ...exits, levels: [{ epsilon: 0, thresholds }] };
}

/** A threshold that every answer passes. */
export function surelyMet(confidence: Confidence): number {
  return confidence === "entropy" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
}
