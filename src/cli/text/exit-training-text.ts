import type { TrainedArtifactExits } from "../../pipeline/trained-exits.ts";
import type { Colours } from "../terminal.ts";
import { exitsText } from "./exits-text.ts";
import { formatMiB } from "./number-text.ts";
import { renderTable } from "./table.ts";

/** Trained exits for people: what training did, the exits as `inspect` prints them, and where their states are kept. */
export function exitTrainingText({ table, heads, states }: TrainedArtifactExits, colours: Colours): string {
  const right = { align: "right" as const };
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const training = renderTable(
    [
      { head: "exit" },
      ...["logit lens agrees", "head agrees", "KL before", "after", "steps"].map((head) => ({ head, ...right })),
    ],
    heads.map(({ blocks, before, after, steps }) => [
      `after ${blocks} blocks`,
      ...[percent(before.agreement), percent(after.agreement)],
      ...[before.loss.toFixed(3), after.loss.toFixed(3), String(steps)],
    ]),
    colours,
  );
  const kept = states
    ? `\nhidden states for other heads at these points: ${formatMiB(states.bytes)} in ${states.folder}, to be deleted at will`
    : "";
  return `${training}\n\n${exitsText(table, colours)}${kept}`;
}
