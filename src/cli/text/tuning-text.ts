import type { TuneReport } from "../../pipeline/tune.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatDuration, formatNumber } from "./number-text.ts";
import { renderTable } from "./table.ts";

/**
 * Tuning for people: perplexity on held-out text at the end of each window, before and after, and where the result is.
 */
export function tuningText(report: TuneReport, colours: Colours): string {
  const { adapter, merged, losses, examples, took } = report;
  const each = took.steps > 0 ? `, ${formatDuration(took.ms / took.steps)} a step` : "";
  return [
    `${lossesText(losses, colours)}\n`,
    `${formatCount(examples.heldOutTokens)} held-out tokens; ${took.steps} steps${each}`,
    `adapter: ${adapter}`,
    ...risen(report),
    ...(merged === null ? [] : [`merged checkpoint: ${merged}`]),
  ].join("\n");
}

/** The perplexities of its table. */
export function lossesText(losses: TuneReport["losses"], colours: Colours): string {
  const right = { align: "right" as const };
  return renderTable(
    [{ head: "held-out perplexity" }, { head: "before", ...right }, { head: "after", ...right }],
    losses.map(({ blocks, before, after }, i) => [
      i + 1 === losses.length ? "the model" : `after ${blocks} blocks`,
      formatNumber(Math.exp(before)),
      formatNumber(Math.exp(after)),
    ]),
    colours,
  );
}

/** What to do where the model itself has become worse on other text than it learned from. */
function risen({ losses, settings, windows }: TuneReport): string[] {
  const own = losses[losses.length - 1];
  if (own.after <= own.before) return [];
  const risen = "the model's own perplexity has risen";
  if (settings.exit === "last" || windows.length === 1) {
    return [`${risen}: it learned what is true of its own text alone; take fewer --steps, a lower --rate or more text`];
  }
  return [
    `${risen}: what lower windows learned for their ends changed what the last blocks read`,
    "to lower it, tune the last blocks alone (--first-block), or by the loss after the last block (--exit last)",
  ];
}
