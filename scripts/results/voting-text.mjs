// The section of docs/results.md on what exits and output head say together.
import { table, taken } from "./common.mjs";

const percent = ({ value, error }) => `${(100 * value).toFixed(1)} ± ${(100 * error).toFixed(1)}`;

/** One table a model: who answers, before and after tuning. */
export function votingText({ subjects }) {
  const parts = Object.entries(subjects).map(([name, states]) => {
    const rows = Object.entries(states).flatMap(([state, { rules }]) =>
      Object.entries(rules).map(([rule, { perplexity, perplexityError, tasks, decoding }]) => [
        ...[state, rule === "plain" ? "output head alone" : `vote, \`${rule}\``],
        `${perplexity.toFixed(2)} ± ${perplexityError.toFixed(2)}`,
        ...tasks.map(({ accuracy }) => percent(accuracy)),
        decoding.weights?.map((weight) => weight.toFixed(3)).join(", ") ?? "",
      ]),
    );
    const [first] = Object.values(states);
    const { plain, max } = first.rules;
    const head = ["tuning", "who answers", "perplexity", ...plain.tasks.map(({ task }) => `${task}, %`), "weights"];
    const tokens = plain.scoredTokens.toLocaleString("en");
    const how = `${name}, exits after ${max.decoding.exits.join(", ")} blocks; ${tokens} tokens of the text, the first ${plain.tasks[0].examples} examples of each task.`;
    const tuned = Object.entries(states).flatMap(([state, { tuning }]) => (tuning ? [tuningText(state, tuning)] : []));
    return [table(head, rows), [how, ...tuned, taken(Object.values(states).at(-1))].join(" ")].join("\n\n");
  });
  return parts.join("\n\n");
}

/** What tuning did at the ends of its windows, on the text that weights are fitted to. */
function tuningText(state, { losses, seconds }) {
  const falls = losses.map(({ blocks, before, after }) => `${blocks}: ${before.toFixed(2)} to ${after.toFixed(2)}`);
  return `Tuned ${state} in ${seconds.toFixed(0)} s: held-out loss by the output head after so many blocks, in nats: ${falls.join(", ")}.`;
}
