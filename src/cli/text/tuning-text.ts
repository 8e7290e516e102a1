import type { TuneReport } from "../../pipeline/tune.ts";
import type { Colours } from "../terminal.ts";
import { formatNumber } from "./number-text.ts";
import { renderTable } from "./table.ts";

/**
 * Tuning for people: perplexity on held-out text at the end of each window, before and after, and where the result is.
 */
export function tuningText({ adapter, losses, examples }: TuneReport, colours: Colours): string {
  return `${lossesText(losses, colours)}\n\n${examples.heldOutTokens} held-out tokens\nadapter: ${adapter}`;
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
