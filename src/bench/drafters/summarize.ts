import { exitsOfDecode, PLAIN } from "../../decoding/drafters/index.ts";
import { spreadOf } from "../spread.ts";
import { acceptedPerToken, compareDrafts, WASTE_RATES, wasteOf } from "./compare.ts";
import { type DraftCosts, type DraftUse, predictSpeed } from "./cost-model.ts";
import type { DrafterRun, DrafterRuns, PairedRun } from "./measure.ts";
import type { DrafterComparison, DrafterRow } from "./result.ts";
import { adapts, askedExits, type DrafterSetup, PLAIN_SETUP } from "./setups.ts";

/** What each way to draft came to, plain decoding (all of its runs) first. `costs`: measured on the same executor. */
export function summarizeDrafters(measured: readonly DrafterRuns[], costs: DraftCosts, blocks: number): DrafterRow[] {
  const plainRuns = [...new Set(measured.flatMap(({ pairs }) => pairs.map(({ plain }) => plain)))];
  const plain = rowOf(
    PLAIN_SETUP,
    plainRuns.map((run) => ({ run, plain: run })),
    { costs, blocks },
  );
  return [plain, ...measured.map(({ setup, pairs }) => rowOf(setup, pairs, { costs, blocks }))];
}

/** Every DSSD row beside the fixed ones, by both rates of waste; empty where one of the two was not measured. */
export function compareRows(rows: readonly DrafterRow[]): DrafterComparison[] {
  const fixed = rows.filter(({ exit }) => exit !== null);
  if (fixed.length === 0) return [];
  const drafters = rows.filter(({ kind, exit }) => kind !== PLAIN.kind && exit === null);
  return WASTE_RATES.flatMap((rate) =>
    drafters.map((row) => {
      const { waste, best, ratio, mixedAccepted, mixedRatio } = compareDrafts(row, fixed, rate);
      const name = best === null ? null : fixed[best].name;
      return {
        ...{ name: row.name, rate, waste, acceptedPerToken: row.acceptedPerToken },
        ...{ best: name, ratio, mixedAccepted, mixedRatio },
      };
    }),
  );
}

function rowOf(
  setup: DrafterSetup,
  pairs: readonly PairedRun[],
  { costs, blocks }: { readonly costs: DraftCosts; readonly blocks: number },
): DrafterRow {
  const { kind, name, exit, epsilon, draftLimit } = setup;
  const runs = pairs.map(({ run }) => run);
  const tokens = sumOf(runs, ({ ids }) => ids.length);
  const drafted = sumOf(runs, ({ decoding }) => decoding.drafted);
  const accepted = sumOf(runs, ({ decoding }) => decoding.accepted);
  const rounds = sumOf(runs, ({ decoding }) => roundsOf(decoding.depths, blocks));
  const plainRounds = kind === PLAIN.kind ? rounds : sumOf(runs, ({ decoding }) => decoding.plainRounds);
  const counts = { tokens, drafted, accepted };
  const timed = pairs.filter(({ run, plain }) => speedOf(run) !== null && speedOf(plain) !== null);
  const speeds = timed.map(({ run }) => speedOf(run) ?? 0);
  const use = useOf(setup, runs, { rounds, plainRounds, drafted, accepted });
  return {
    ...{ kind, name, exit, epsilon, draftLimit },
    ...{ tokens, drafted, accepted, wasted: drafted - accepted, rounds, plainRounds },
    acceptedPerRound: rounds === 0 ? 0 : accepted / rounds,
    wastedShare: wasteOf(counts, "ofDrafts"),
    wastedPerToken: wasteOf(counts, "ofTokens") ?? 0,
    acceptedPerToken: acceptedPerToken(counts),
    meanBlocks: meanBlocksOf(runs, blocks),
    tokensPerSecond: speeds.length === 0 ? null : spreadOf(speeds),
    ratio:
      speeds.length === 0 ? null : spreadOf(timed.map(({ plain }, i) => speeds[i] / (speedOf(plain) ?? speeds[i]))),
    exact: pairs.every(({ run, plain }) => sameIds(run, plain)),
    predicted: use && predictSpeed(costs, use),
  };
}

/**
 * Passes to the top after the prompt's: each gives one token of full depth, but one that only confirms a draft that
 * ends the text.
 */
function roundsOf(depths: DrafterRun["decoding"]["depths"], blocks: number): number {
  return Math.max(0, tokensAt(depths, blocks) - 1);
}

/** Tokens/s after the first token; null where nothing was timed. */
function speedOf({ ids, generateMs }: DrafterRun): number | null {
  return ids.length > 1 && generateMs > 0 ? ((ids.length - 1) * 1000) / generateMs : null;
}

/** Null where no exits were drafted with: the cost model is theirs. */
function useOf(
  setup: DrafterSetup,
  runs: readonly DrafterRun[],
  counts: Pick<DraftUse, "rounds" | "plainRounds" | "drafted" | "accepted">,
): DraftUse | null {
  const exits = exitsOfDecode(setup.decode)?.exits;
  if (!exits) return null;
  // Which exits wrong drafts came from is not counted: they are taken to come from the same ones.
  const from = exits.map(({ blocks }) => sumOf(runs, ({ decoding }) => tokensAt(decoding.depths, blocks)));
  const all = from.reduce((sum, tokens) => sum + tokens, 0);
  const exitShares = from.map((tokens, i) => {
    if (setup.exit !== null) return exits[i].blocks === setup.exit ? 1 : 0;
    return all === 0 ? 1 / exits.length : tokens / all;
  });
  return {
    ...counts,
    tokens: sumOf(runs, ({ ids }) => Math.max(0, ids.length - 1)),
    exitShares,
    // The controller comes to leave out exits that do not pay.
    asked: askedExits(setup).map((asked, i) => asked && (!adapts(setup) || exitShares[i] > 0)),
    endsUnsure: setup.exit === null,
  };
}

function tokensAt(depths: DrafterRun["decoding"]["depths"], blocks: number): number {
  return depths.find((depth) => depth.blocks === blocks)?.tokens ?? 0;
}

function meanBlocksOf(runs: readonly DrafterRun[], blocks: number): number {
  const depths = runs.flatMap(({ decoding }) => decoding.depths);
  const tokens = depths.reduce((sum, depth) => sum + depth.tokens, 0);
  return tokens === 0 ? blocks : depths.reduce((sum, depth) => sum + depth.tokens * depth.blocks, 0) / tokens;
}

function sameIds(a: DrafterRun, b: DrafterRun): boolean {
  return a.ids.length === b.ids.length && a.ids.every((id, i) => id === b.ids[i]);
}

function sumOf(runs: readonly DrafterRun[], of: (run: DrafterRun) => number): number {
  return runs.reduce((sum, run) => sum + of(run), 0);
}
