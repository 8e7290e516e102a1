import { z } from "zod";
import { badTaskFile, parseJsonLines } from "../json-lines.ts";
import { answer, type Task } from "../task.ts";

const Line = z.object({
  context_options: z.array(z.string().min(1)).min(2),
  continuation: z.string().min(1),
  gold: z.number().int().nonnegative(),
});

/**
 * WinoGrande by partial evaluation: each candidate is put in place of the blank, and the likelihood of what follows the
 * blank, the same words for all, decides. Lines `{ context_options, continuation, gold }`.
 */
export const winogrande: Task = {
  kind: "choose",
  file: "winogrande.jsonl",
  normalised: false,
  parse: (text, label) =>
    parseJsonLines(text, label, Line).map(({ context_options, continuation, gold }, i) => {
      if (gold >= context_options.length) {
        throw badTaskFile(
          `${label}: example ${i + 1}`,
          `gold: expected below ${context_options.length}, found ${gold}`,
        );
      }
      return { choices: context_options.map((context) => answer(context, continuation)), gold };
    }),
};
