import type { TrainedArtifactExits } from "../../pipeline/steps/exits.ts";
import { shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { exitsText } from "./exits-text.ts";
import { formatPercent } from "./number-text.ts";
import { renderTable } from "./table.ts";

/** Trained exits for people: what training did, the exits as `inspect` prints them, and where their states are kept. */
export function exitTrainingText({ table, heads, states }: TrainedArtifactExits, colours: Colours): string {
  const right = { align: "right" as const };
  const training = renderTable(
    [
      { head: "exit" },
      ...["logit lens agrees", "head agrees", "KL before", "after", "steps"].map((head) => ({ head, ...right })),
    ],
    heads.map(({ blocks, before, after, steps }) => [
      `after ${blocks} blocks`,
      ...[formatPercent(before.agreement), formatPercent(after.agreement)],
      ...[before.loss.toFixed(3), after.loss.toFixed(3), String(steps)],
    ]),
    colours,
  );
  const kept = states
    ? `\nhidden states for other heads at these points: ${shortBytes(states.bytes)} in ${states.folder}, to be deleted at will`
    : "";
  const parts = heads.length === 0 ? [] : [training];
  return [...parts, exitsText(table, colours) + kept].join("\n\n");
}
