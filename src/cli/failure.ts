import { Interrupted, UserError } from "../errors.ts";
import { EXIT } from "./exit-status.ts";
import type { Terminal } from "./terminal.ts";
import { shorten } from "./text/shorten.ts";

/** Longer words, and longer values of the command line, are cut in messages. */
const MOST_CHARS = 200;
const LONG_WORD = /\S{201,}/g;

/**
 * Tells the user what went wrong, on standard error (and as the JSON document where none was written yet); returns the
 * exit status. `typed`: the command line.
 */
export function reportFailure(error: unknown, terminal: Terminal, typed: readonly string[]): number {
  if (error instanceof UserError) {
    const message = readable(error.message, typed);
    const hint = error.hint ? readable(error.hint, typed) : null;
    terminal.note(`layerwise: ${message}${hint === null ? "" : ` (${hint})`}`);
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

function isStop(error: unknown): boolean {
  return error instanceof Interrupted || (error instanceof Error && error.name === "AbortError");
}

/** On one line, without what a terminal would obey, and without most of what was long in the command line. */
function readable(text: string, typed: readonly string[]): string {
  const values = typed.flatMap((arg) => [arg, arg.replace(/^[^=]*=/, "")]).map(oneLine);
  const long = values.filter((value) => value.length > MOST_CHARS);
  const cut = long.reduce((message, value) => message.replaceAll(value, shorten(value, MOST_CHARS)), oneLine(text));
  return cut
    .replaceAll(LONG_WORD, (word) => shorten(word, MOST_CHARS))
    .replaceAll(/\p{Cc}/gu, (control) => `\\x${control.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
