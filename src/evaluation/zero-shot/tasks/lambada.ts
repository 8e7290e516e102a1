import { z } from "zod";
import { badTaskFile, parseJsonLines } from "../json-lines.ts";
import { answer, type Task } from "../task.ts";

const Line = z.object({ text: z.string() });

/** LAMBADA: the last word of a passage, from all that is before it. Lines `{ text }`. */
export const lambada: Task = {
  kind: "continue",
  file: "lambada_test.jsonl",
  normalised: false,
  parse: (text, label) =>
    parseJsonLines(text, label, Line).map(({ text: passage }, i) => {
      const space = passage.lastIndexOf(" ");
      if (space < 1 || space === passage.length - 1) {
        throw badTaskFile(`${label}: example ${i + 1}`, "text: expected to end in a space and a word, found none");
      }
      return { choices: [answer(passage.slice(0, space), passage.slice(space + 1))], gold: 0 };
    }),
};
