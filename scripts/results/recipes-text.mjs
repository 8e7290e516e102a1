// The section of docs/results.md on what the shipped recipes take.
import { MIB, table, taken } from "./common.mjs";

const minutes = (seconds) => (seconds < 100 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`);

/** Stages side by side, then the prediction for a larger model. */
export function recipesText({ smollm2 = {}, shape = {} }) {
  const whole = Object.values(smollm2).map((run) => {
    const rows = run.steps.map(({ name, seconds }) => [name, minutes(seconds)]);
    const { plan, uniform } = run.guard ?? {};
    const guarded = plan
      ? ` Held out: KL divergence ${plan.mean.toFixed(4)}; best uniform plan within the bytes ${uniform ? uniform.divergence.mean.toFixed(4) : "none"}.`
      : "";
    return `**\`${run.recipe}\`** on SmolLM2-135M, budget ${run.budget}: ${minutes(run.seconds)}, peak resident memory ${(run.peakRssBytes / MIB).toFixed(0)} MiB.${guarded}\n\n${table(["step", "time"], rows)}\n\n${taken(run)}`;
  });
  const predicted = Object.values(shape).map((one) => {
    const { block: run } = one;
    const rows = one.predicted.map(({ name, seconds }, i) => [name, minutes(run.steps[i].seconds), minutes(seconds)]);
    rows.push(["sum", minutes(run.seconds), minutes(one.seconds)]);
    return `**\`${run.recipe}\`** on one block of ${one.shape}'s shape (random weights), and what follows for all ${one.blocks}: packing embedding and output head (${minutes(one.outerSeconds)}) once, kl by its ${Math.round(one.passes)} passes of ${minutes(run.estimate.block)}, everything else ${one.blocks} times. Peak resident memory of the block's run ${(run.peakRssBytes / MIB).toFixed(0)} MiB.\n\n${table(["step", "one block", `${one.blocks} blocks, predicted`], rows)}\n\n${taken(one)}`;
  });
  return [...whole, ...predicted].join("\n\n");
}
