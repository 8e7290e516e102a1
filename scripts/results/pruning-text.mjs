// What docs/results.md says of pruning, from docs/results/pruning.json and pruning-repairs.json.
import { MIB, table, taken } from "./common.mjs";

const nats = ({ mean, meanError }) => `${mean.toFixed(4)} ± ${meanError.toFixed(4)}`;

/** The measured tables of every model. */
export function pruningText({ models }) {
  return Object.entries(models)
    .map(([name, { variants, joint }]) =>
      [`### ${name}`, variantsText(variants), ...(joint ? [jointText(joint)] : [])].join("\n\n"),
    )
    .join("\n\n");
}

/** What repairs make up for. */
export function repairsText({ repairs, found }) {
  const kinds = [...new Set(found.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => {
    const own = found.filter((one) => one.kind === kind);
    const mean = (i) => own.reduce((sum, { divergences }) => sum + divergences[i], 0) / own.length;
    return [`\`${kind}\``, ...repairs.map((_, i) => mean(i).toFixed(4))];
  });
  return table(["left out of one block", ...repairs], rows);
}

function variantsText(variants) {
  const whole = variants.none?.tokensPerSecond;
  const speedOf = (own, isa) =>
    own?.[isa] === undefined ? "–" : `${own[isa].toFixed(1)} (${(own[isa] / whole[isa]).toFixed(2)} x)`;
  const rows = Object.entries(variants).map(([name, { divergence: of, fileBytes, tokensPerSecond, tuned }]) => [
    name,
    ...[nats(of.exact), nats(of.packed), tuned ? nats(tuned.divergence) : "–"],
    (fileBytes / MIB).toFixed(1),
    ...[speedOf(tokensPerSecond, "best"), speedOf(tokensPerSecond, "avx2")],
  ]);
  const head = ["pruned", "KL divergence at 16 bits", "at 4 bits", "at 4 bits, tuned", "MiB at 4 bits"];
  const places = Object.values(variants).map(takenText);
  const notes = [...new Set(places)].map((place) => {
    const names = Object.keys(variants).filter((_, i) => places[i] === place);
    return `${names.join(", ")}: ${place}`;
  });
  return [table([...head, "decode tokens/s at 4 bits", "on AVX2"], rows), ...notes].join("\n\n");
}

const takenText = ({ windows, calibrationTokens = 16384, ...stamped }) =>
  `${windows} windows, ${calibrationTokens.toLocaleString("en")} calibration tokens. ${taken(stamped)}`;

function jointText({ budgets, kinds, tokens, ...stamped }) {
  const figures = ({ predictedLoss, divergence }) => `${predictedLoss.toFixed(4)}, ${nats(divergence)}`;
  const rows = budgets.map(({ width, budgetBytes, bits, joint }) => [
    `${width} bits, ${(budgetBytes / MIB).toFixed(1)} MiB`,
    ...[figures(bits), figures(joint), leftOutText(joint), guardText(joint)],
  ]);
  const head = ["total bytes of uniform", "bits alone: predicted, measured", "what ships: predicted, measured"];
  const how = `May leave out ${kinds.join(", ")}; losses of ${tokens} tokens. ${takenText(stamped)}`;
  return `${table([...head, "the joint plan leaves out", "guard: joint plan, bits alone; ships"], rows)}\n\n${how}`;
}

/** What the joint plan takes, whether it ships or not; or what taking something would have lost. */
function leftOutText({ planned, guard, pruning }) {
  const cuts = (pruning ?? planned.cuts).filter((cut) => cut !== null);
  const kinds = [...new Set(cuts.map(({ kind }) => kind))];
  if (kinds.length > 0)
    return kinds.map((kind) => `${kind} of ${cuts.filter((cut) => cut.kind === kind).length}`).join(", ");
  const cutLoss = planned.cutLoss === null ? "–" : planned.cutLoss.toFixed(4);
  return guard?.whole ? `what the guard refused (${cutLoss} predicted)` : `nothing: a cut would lose ${cutLoss}`;
}

function guardText({ guard }) {
  if (!guard) return "–";
  const whole = guard.whole ? `, ${nats(guard.whole.divergence)}` : "";
  return `${nats(guard.plan)}${whole}; ${guard.ships}`;
}
