import type { ExitTable, VoteWeights } from "../../artifact/exits/table.ts";
import { shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatPercent } from "./number-text.ts";
import { renderTable } from "./table.ts";

const CONFIDENCE = { entropy: "entropy", max: "largest probability", margin: "lead in probability" } as const;

/** An artifact's early exits for people: the heads, then what each accuracy level does on held-out text. */
export function exitsText(
  { exits, confidence, vocabulary, levels, voting, training }: ExitTable,
  colours: Colours,
): string {
  const ids = vocabulary === "full" ? "the whole vocabulary" : `${formatCount(vocabulary.ids)} ids`;
  const right = { align: "right" as const };
  const alone = training.heads;
  const heads = renderTable(
    [
      { head: "exit" },
      { head: "head" },
      { head: "size", ...right },
      ...(alone
        ? [
            { head: "agrees", ...right },
            { head: "logit lens", ...right },
          ]
        : []),
    ],
    exits.map(({ blocks, kind, rank, bytes }, i) => [
      `after ${blocks} blocks`,
      rank === null ? kind : `${kind} of rank ${rank}`,
      shortBytes(bytes),
      ...(alone ? [formatPercent(alone[i].agreement), formatPercent(alone[i].lensAgreement)] : []),
    ]),
    colours,
  );
  const rows = levels.map(({ epsilon, thresholds, report }) => {
    const { coverage, agreement, agreementError, meanBlocks } = report;
    const agreed = agreement === null ? "–" : `${formatPercent(agreement)} ± ${formatPercent(agreementError ?? 0)}`;
    const limits = thresholds.map((threshold) => (threshold === null ? "–" : threshold.toPrecision(3)));
    return [epsilon.toFixed(2), formatPercent(coverage), agreed, meanBlocks.toFixed(1), ...limits];
  });
  const columns = ["level", "leave early", "agree", "mean blocks", ...exits.map(({ blocks }) => `after ${blocks}`)];
  const { train, report } = training.tokens;
  return [
    heads,
    "",
    `early exits by ${CONFIDENCE[confidence]} over ${ids}; ${train === 0 ? "not trained" : `trained on ${formatCount(train)} tokens`}, seed ${training.seed}, by ${training.backend}`,
    renderTable(
      columns.map((head) => ({ head, ...right })),
      rows,
      colours,
    ),
    `on ${formatCount(report)} held-out tokens; thresholds in the last ${exits.length === 1 ? "column" : "columns"}, – never exits there`,
    ...(voting ? [votingText(voting, exits)] : []),
  ].join("\n");
}

/** Who counts how much in a vote, and what that is worth. */
function votingText({ weights, report }: VoteWeights, exits: ExitTable["exits"]): string {
  const names = [...exits.map(({ blocks }) => `after ${blocks}`), "output head"];
  const { outputNll, voteNll, differenceError, tokens } = report;
  return (
    `vote: ${names.map((name, i) => `${name} ${formatPercent(weights[i])}`).join(", ")}; on ${formatCount(tokens)} held-out tokens ` +
    `${(voteNll - outputNll).toFixed(4)} ± ${differenceError.toFixed(4)} nats beside the output head's ${outputNll.toFixed(4)}`
  );
}
