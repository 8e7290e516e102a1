import type { Confidence } from "../../artifact/exits/table.ts";
import { type ExitSet, levelFor } from "../../decoding/exits/exit-set.ts";
import { type DraftPlan, MOST_DRAFTS } from "../../decoding/speculative/controller.ts";
import { type DecodeOptions, DRAFT_LIMIT } from "../../decoding/speculative/create-decoder.ts";
import { type ExpectedPlan, expectedPlan } from "../../decoding/speculative/start-plan.ts";
import { UserError } from "../../errors.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";

/**
 * Ways to draft. `fixed`: one exit answers every time and a fixed number of drafts is wanted, LayerSkip's scheme on the same heads
 * (arXiv 2404.16710); only an answer that is none of the head's ids ends a round before. `dssd`: thresholds of a level and a draft limit;
 * `adaptive`: the controller changes both as it pays.
 */
export const DRAFTER_KINDS = ["plain", "fixed", "dssd", "adaptive"] as const;
export type DrafterKind = (typeof DRAFTER_KINDS)[number];

/** One way to decode that is measured. */
export interface DrafterSetup {
  readonly kind: DrafterKind;
  readonly name: string;
  /** Blocks run before the fixed exit; null for the others. */
  readonly exit: number | null;
  /** Level of DSSD, the first one where it adapts. */
  readonly epsilon: number | null;
  readonly draftLimit: number | null;
  readonly decode: DecodeOptions;
}

/** What is swept. */
export interface DrafterSweep {
  /** Drafts of a fixed exit; empty leaves fixed exits out. */
  readonly draftLengths: readonly number[];
  /** Levels of DSSD, null: every calibrated one; and most drafts of a round. Empty limits leave DSSD out. */
  readonly epsilons: readonly number[] | null;
  readonly draftLimits: readonly number[];
}

/** The paper's sweep of LayerSkip goes to 6 drafts; longer ones are there to see the end of it. */
export const DEFAULT_SWEEP: DrafterSweep = {
  draftLengths: [1, 2, 4, 6, 8, 12],
  epsilons: null,
  draftLimits: [4, 8, 16],
};

/** Plain decoding, which all others are compared with. */
export const PLAIN_SETUP: DrafterSetup = {
  kind: "plain",
  name: "plain",
  exit: null,
  epsilon: null,
  draftLimit: null,
  decode: { kind: "plain" },
};

/**
 * Every way to draft of a sweep, plain decoding not among them: fixed exits, DSSD by epsilon, the adaptive controller. Throws UserError EPSILON or
 * DRAFT_LIMIT for values that could not be decoded with.
 */
export function drafterSetups(exits: ExitSet, spec: DecoderSpec, sweep: DrafterSweep): DrafterSetup[] {
  const epsilons = sweep.epsilons ?? exits.levels.map(({ epsilon }) => epsilon);
  for (const epsilon of epsilons) levelFor(exits, epsilon);
  checkDrafts("draft-lengths", sweep.draftLengths);
  checkDrafts("draft-limits", sweep.draftLimits);
  const fixed = exits.exits.flatMap(({ blocks }, i) =>
    sweep.draftLengths.map((draftLimit) => ({
      ...{
        kind: "fixed" as const,
        name: `exit ${blocks}, ${draftLimit} draft${draftLimit === 1 ? "" : "s"}`,
        exit: blocks,
        epsilon: null,
        draftLimit,
      },
      decode: drafting(fixedExit(exits, i), 0, draftLimit),
    })),
  );
  const dssd = epsilons.flatMap((epsilon) =>
    sweep.draftLimits.map((draftLimit) => ({
      ...{ kind: "dssd" as const, name: `DSSD ${epsilon}, up to ${draftLimit}`, exit: null, epsilon, draftLimit },
      decode: drafting(exits, epsilon, draftLimit),
    })),
  );
  return [...fixed, ...dssd, ...adaptiveSetups(exits, spec, { epsilons, draftLimits: sweep.draftLimits })];
}

function checkDrafts(name: string, numbers: readonly number[]): void {
  const wrong = numbers.find((drafts) => !Number.isInteger(drafts) || drafts < 1 || drafts > MOST_DRAFTS);
  if (wrong === undefined) return;
  throw new UserError("DRAFT_LIMIT", `${name}: expected whole numbers from 1 to ${MOST_DRAFTS}, found ${wrong}`);
}

/** The plan that promises most of the levels named, as it is and as a start; from the defaults where nothing is known of them. */
function adaptiveSetups(
  exits: ExitSet,
  spec: DecoderSpec,
  { epsilons, draftLimits }: { readonly epsilons: readonly number[]; readonly draftLimits: readonly number[] },
): DrafterSetup[] {
  if (epsilons.length === 0 || draftLimits.length === 0) return [];
  const starts = epsilons.flatMap((epsilon) => expectedPlan(exits, spec, { level: levelFor(exits, epsilon) }) ?? []);
  const best = starts.reduce<ExpectedPlan | null>((most, one) => (most && most.ratio >= one.ratio ? most : one), null);
  const plan = best?.plan ?? {
    level: levelFor(exits, Math.min(0.8, Math.max(...epsilons))),
    ...{ firstExit: 0, draftLimit: DRAFT_LIMIT },
  };
  const from = planned(exits, plan, true);
  return best ? [planned(exits, plan, false), from] : [from];
}

function planned(exits: ExitSet, { level, firstExit, draftLimit }: DraftPlan, adapt: boolean): DrafterSetup {
  const { epsilon } = exits.levels[level];
  const what = `${epsilon}, exit ${exits.exits[firstExit].blocks} on, up to ${draftLimit}`;
  return {
    ...(adapt ? { kind: "adaptive", name: `DSSD adaptive from ${what}` } : { kind: "dssd", name: `DSSD ${what}` }),
    ...{ exit: null, epsilon, draftLimit },
    decode: { kind: "dssd", exits, epsilon, draftLimit, firstExit, adapt },
  };
}

function drafting(exits: ExitSet, epsilon: number, draftLimit: number): DecodeOptions {
  return { kind: "dssd", exits, epsilon, draftLimit, adapt: false };
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

/** Which exits a way to decode asks: those with a threshold at any level that it may come to use. */
export function askedExits({ decode, kind, epsilon }: DrafterSetup): boolean[] {
  if (decode.kind === "plain") return [];
  const { exits, levels } = decode.exits;
  const first = decode.kind === "dssd" && kind === "dssd" ? (decode.firstExit ?? 0) : 0;
  const level = levels.find((one) => one.epsilon >= (epsilon ?? 0) - 1e-9);
  const used = kind === "adaptive" || level === undefined ? levels : [level];
  return exits.map((_, i) => i >= first && used.some(({ thresholds }) => thresholds[i] !== null));
}
