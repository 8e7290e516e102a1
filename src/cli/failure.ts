import { Interrupted, UserError } from "../errors.ts";
import { EXIT } from "./exit-status.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Tells the user what went wrong, on standard error (and as the JSON document where none was written yet); returns the
 * exit status.
 */
export function reportFailure(error: unknown, terminal: Terminal): number {
  if (error instanceof UserError) {
    terminal.note(`layerwise: ${oneLine(error.message)}${error.hint ? ` (${oneLine(error.hint)})` : ""}`);
    terminal.failureDocument({ code: error.code, message: oneLine(error.message), hint: error.hint ?? null });
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

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").trim();
}
