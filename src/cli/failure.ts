import { Interrupted, UserError } from "../errors.ts";
import { EXIT } from "./exit-status.ts";
import type { Terminal } from "./terminal.ts";
import { shorten } from "./text/shorten.ts";

/** Longer words, and longer values of the command line, are cut in messages. */
const MOST_CHARS = 200;
const LONG_WORD = new RegExp(`\\S{${MOST_CHARS + 1},}`, "g");

/**
 * Tells the user what went wrong, on standard error (and as the JSON document where none was written yet); returns the
 * exit status. `typed`: the command line.
 */
export function reportFailure(error: unknown, terminal: Terminal, typed: readonly string[] = []): number {
  if (error instanceof UserError) {
    const { message, hint } = noteMistake(error, terminal, typed);
    terminal.failureDocument({ code: error.code, message, hint });
    return EXIT.userError;
  }
  if (terminal.signal.aborted && isStop(error)) {
    const message = terminal.stopMessage;
    terminal.note(`layerwise: ${message}`);
    terminal.failureDocument({ code: "STOPPED", message, hint: null });
    return terminal.signalExitCode;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  terminal.note(`layerwise: this is a bug of layerwise; please report it with the command and these lines\n${stack}`);
  terminal.failureDocument({ code: "BUG", message: oneLine(String(error)), hint: null });
  return EXIT.bug;
}

/** Tells the user of a mistake, on standard error; gives what was said. `typed`: the command line. */
export function noteMistake(
  error: { readonly message: string; readonly hint: string | undefined },
  terminal: Terminal,
  typed: readonly string[] = [],
): { readonly message: string; readonly hint: string | null } {
  const message = readable(error.message, typed);
  const hint = error.hint ? readable(error.hint, typed) : null;
  terminal.note(`layerwise: ${message}${hint === null ? "" : ` (${hint})`}`);
  return { message, hint };
}

function isStop(error: unknown): boolean {
  return error instanceof Interrupted || (error instanceof Error && error.name === "AbortError");
}

/** On one line, and without most of what was long in the command line: who typed it knows it. */
function readable(text: string, typed: readonly string[]): string {
  const values = typed.flatMap((arg) => [arg, arg.replace(/^[^=]*=/, "")]).map(oneSpaced);
  const long = values.filter((value) => value.length > MOST_CHARS);
  const cut = long.reduce((message, value) => message.replaceAll(value, shorten(value, MOST_CHARS)), oneSpaced(text));
  return oneLine(cut.replaceAll(LONG_WORD, (word) => shorten(word, MOST_CHARS)));
}

/** What would move a terminal's cursor, colour it or break the line: values of a stranger's file may hold it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;
/** Characters of a line from its start and its end; between them may stand a value of any length. */
const [MAX_HEAD, MAX_TAIL] = [800, 400];

/** A message as one line that can be printed: cut where it is long, control characters as JSON writes them. */
function oneLine(text: string): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  const line = oneSpaced(text).replaceAll(CONTROL, escaped);
  if (line.length <= MAX_HEAD + MAX_TAIL) return line;
  return `${line.slice(0, MAX_HEAD)} … ${line.slice(-MAX_TAIL)}`;
}

function oneSpaced(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
