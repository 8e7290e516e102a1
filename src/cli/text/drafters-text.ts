import type { SpeedPrediction } from "../../bench/drafters/cost-model.ts";
import type { DrafterComparison, DrafterRow, DraftersResult } from "../../bench/drafters/result.ts";
import { PLAIN } from "../../decoding/drafters/index.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatNumber, formatPercent } from "./number-text.ts";
import { renderTable } from "./table.ts";

const right = (head: string) => ({ head, align: "right" as const });
const times = (ratio: number | null | undefined) => (ratio == null ? "–" : `${ratio.toFixed(2)}x`);

const BOUNDS: Readonly<Record<SpeedPrediction["bound"], string>> = {
  waste: "wrong drafts",
  heads: "exit heads",
  drafts: "blocks run to draft",
  rows: "rows of the verifying pass",
};

/** The result of `layerwise bench --drafters` as text. */
export function draftersText(result: DraftersResult, colours: Colours): string {
  const parts = [
    rowTable(result.rows, colours),
    costText(result),
    ...boundText(result.rows),
    ...perfectText(result),
    ...comparisonText(result.comparisons),
    colours.dim(protocol(result)),
  ];
  return parts.join("\n\n");
}

function rowTable(rows: readonly DrafterRow[], colours: Colours): string {
  const columns = [
    { head: "drafter" },
    ...["drafted", "accepted", "wasted", "accepted a round", "accepted of tokens", "mean blocks"].map(right),
    ...["tokens/s", "of plain", "cost model", "same text"].map(right),
  ];
  const cells = rows.map((row) => [
    row.name,
    formatCount(row.drafted),
    formatCount(row.accepted),
    formatPercent(row.wastedShare),
    row.acceptedPerRound.toFixed(2),
    formatPercent(row.acceptedPerToken),
    row.meanBlocks.toFixed(1),
    row.tokensPerSecond === null ? "–" : formatNumber(row.tokensPerSecond.median),
    row.kind === PLAIN.kind || row.ratio === null
      ? "–"
      : `${times(row.ratio.median)} ± ${row.ratio.quartileDeviation.toFixed(2)}`,
    times(row.predicted?.ratio),
    row.exact ? "yes" : "no",
  ]);
  return renderTable(columns, cells, colours);
}

function costText({ costs, exits }: DraftersResult): string {
  const { plainMs, stages } = costs;
  const of = (ms: number) => `${formatNumber(ms)} ms (${formatPercent(ms / plainMs)})`;
  const blocks = (from: number) => stages.slice(from).reduce((sum, stage) => sum + stage[0].ms, 0);
  const climbs = exits.map((after, i) => {
    const climb = stages.slice(0, i + 1).reduce((sum, stage) => sum + stage[0].ms, 0);
    return `after ${after} blocks: to draft there ${of(climb)}, its head ${of(costs.exits[i].headMs)}`;
  });
  const last = stages[0].length - 1;
  const { rows } = stages[0][last];
  const many = stages.reduce((sum, stage) => sum + stage[last].ms, 0);
  return [
    `a plain token after ${formatCount(costs.position)} positions: ${formatNumber(plainMs)} ms`,
    ...climbs,
    `a pass of ${rows} rows through all blocks: ${of(many)}, of one row in these stages: ${of(blocks(0))}`,
  ].join("\n");
}

/** What bounds the fastest way to draft. */
function boundText(rows: readonly DrafterRow[]): string[] {
  const timed = rows.filter(
    ({ kind, ratio, predicted }) => kind !== PLAIN.kind && ratio !== null && predicted !== null,
  );
  if (timed.length === 0) return [];
  const fastest = timed.reduce((best, row) => ((row.ratio?.median ?? 0) > (best.ratio?.median ?? 0) ? row : best));
  const { predicted, name, ratio } = fastest;
  if (predicted === null) return [];
  const { shares, without, bound } = predicted;
  return [
    [
      `fastest: ${name}, ${times(ratio?.median)} measured, ${times(predicted.ratio)} by the cost model; bound by ${BOUNDS[bound]}`,
      `its time: drafting blocks ${formatPercent(shares.drafts)}, exit heads ${formatPercent(shares.heads)}, passes to the top ${formatPercent(shares.top)}, plain rounds ${formatPercent(shares.plain)}`,
      `by the model it would be ${times(without.waste)} if every draft were right, ${times(without.drafts)} with free drafting blocks, ${times(without.rows)} with free further rows, ${times(without.heads)} with free heads`,
    ].join("\n"),
  ];
}

/** The most that these heads could give. */
function perfectText({ perfect }: DraftersResult): string[] {
  if (!perfect) return [];
  const { coverage, predicted } = perfect;
  return [
    `if every exit knew when it is right, ${formatPercent(coverage)} of the tokens would leave early: ${times(predicted.ratio)} at most, ${times(predicted.without.heads)} with free heads`,
  ];
}

/**
 * The accepted drafts of DSSD over those of fixed exits: by each rate of waste the row that gains most on their best
 * mixture.
 */
function comparisonText(comparisons: readonly DrafterComparison[]): string[] {
  const lines = (["ofDrafts", "ofTokens"] as const).flatMap((rate) => {
    const rows = comparisons.filter((row) => row.rate === rate && row.mixedRatio !== null);
    if (rows.length === 0) return [];
    const { name, waste, best, ratio, mixedRatio } = rows.reduce((most, row) =>
      (row.mixedRatio ?? 0) > (most.mixedRatio ?? 0) ? row : most,
    );
    const single = best === null ? "no single one wastes so little" : `${times(ratio)} those of ${best}`;
    const what = rate === "ofDrafts" ? "drafts" : "tokens";
    return [
      `at the same waste, ${formatPercent(waste)} of the ${what}: ${name} has ${times(mixedRatio)} the accepted drafts of the best mixture of fixed exits; ${single}`,
    ];
  });
  return lines.length === 0 ? [] : [lines.join("\n")];
}

function protocol({ model, executor, kvType, prompts, generateTokens, machine }: DraftersResult): string {
  const { source, count, tokens } = prompts;
  return [
    `${model}, ${executorName(executor)}, ${executor.threads ?? "?"} threads, keys and values ${kvType}; greedy, ${formatCount(count)} prompt${count === 1 ? "" : "s"} of ${formatCount(tokens)} tokens from ${source}, up to ${generateTokens} tokens each`,
    "of plain: median ± half the quartile distance of the prompts' ratios to plain decoding in turns; wasted: of all drafts",
    `${machine.cpu}, ${machine.cores} cores, ${shortBytes(machine.memoryBytes)}, ${machine.platform}, Node ${machine.node}`,
  ].join("\n");
}
