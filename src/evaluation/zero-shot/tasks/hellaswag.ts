import { badTaskFile } from "../json-lines.ts";
import { answer, type Task } from "../task.ts";

/** Lines of an example: context, number of the right ending, endings. */
const LINES = 6;
const ENDINGS = LINES - 2;

/**
 * HellaSwag: which of four endings follows. Six lines an example, "activity: context" first, as llama.cpp takes them.
 */
export const hellaswag: Task = {
  kind: "choose",
  file: "hellaswag_val_full.txt",
  normalised: true,
  parse(text, label) {
    const lines = text.replace(/\n+$/, "").split("\n");
    if (lines.length % LINES !== 0) {
      throw badTaskFile(label, `expected ${LINES} lines an example, found ${lines.length} lines`);
    }
    return Array.from({ length: lines.length / LINES }, (_, i) => {
      const [context, gold, ...endings] = lines
        .slice(LINES * i, LINES * (i + 1))
        .map((line) => line.replace(/\r$/, ""));
      if (!/^[0-3]$/.test(gold)) {
        throw badTaskFile(
          `${label}:${LINES * i + 2}`,
          `expected a number below ${ENDINGS}, found ${gold.slice(0, 40)}`,
        );
      }
      const cleaned = cleanWikiHow(context);
      return { choices: endings.map((ending) => answer(cleaned, cleanWikiHow(ending))), gold: Number(gold) };
    });
  },
};

/**
 * Brackets of WikiHow's markup removed, as lm-evaluation-harness does it: " [title]" ends a sentence, others vanish.
 */
export function cleanWikiHow(text: string): string {
  return text
    .trim()
    .replaceAll(" [title]", ". ")
    .replaceAll(/\[.*?\]/g, "")
    .replaceAll("  ", " ");
}
