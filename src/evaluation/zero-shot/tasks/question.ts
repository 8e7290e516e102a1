import { z } from "zod";
import { badTaskFile, parseJsonLines } from "../json-lines.ts";
import { answer, type Task } from "../task.ts";

const Line = z.object({
  query: z.string().min(1),
  choices: z.array(z.string().min(1)).min(2),
  gold: z.number().int().nonnegative(),
});

/**
 * A question with choices in lines `{ query, choices, gold }`; `prompt` makes the context of the query, after which
 * each choice follows a space. The prompts are those of lm-evaluation-harness.
 */
function questionTask(file: string, prompt: (query: string) => string): Task {
  return {
    kind: "choose",
    file,
    normalised: true,
    parse: (text, label) =>
      parseJsonLines(text, label, Line).map(({ query, choices, gold }, i) => {
        if (gold >= choices.length) {
          throw badTaskFile(`${label}: example ${i + 1}`, `gold: expected below ${choices.length}, found ${gold}`);
        }
        const context = prompt(query);
        return { choices: choices.map((choice) => answer(context, choice)), gold };
      }),
  };
}

/** "Question: …\nAnswer:"; the query brings its "Question: ". */
const questionAndAnswer = (query: string) => `${query.trimEnd()}\nAnswer:`;

/** AI2 reasoning challenge: school science, the questions that retrieval answers. */
export const arcEasy = questionTask("arc_easy.jsonl", questionAndAnswer);
/** AI2 reasoning challenge: those that retrieval does not answer. */
export const arcChallenge = questionTask("arc_challenge.jsonl", questionAndAnswer);
/** PIQA: which of two ways reaches a practical goal. */
export const piqa = questionTask("piqa.jsonl", questionAndAnswer);
/** BoolQ: yes or no after a passage; lm-evaluation-harness writes nothing before the passage. */
export const boolq = questionTask("boolq.jsonl", (query) => questionAndAnswer(query.replace(/^Passage: /, "")));
/** OpenBookQA: the query is a sentence to complete or a question, and stands bare. */
export const openbookqa = questionTask("openbook_qa.jsonl", (query) => query.trimEnd());
/** COPA: cause or effect of a premise that ends in "because" or "therefore". */
export const copa = questionTask("copa.jsonl", (query) => query.trimEnd());
