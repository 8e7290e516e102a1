import { UserError } from "../../errors.ts";
import { didYouMean } from "../../near-names.ts";

/** What a person can ask of a conversation, beside turns. */
export type ChatCommand =
  | { readonly name: "help" | "reset" | "quit" }
  | { readonly name: "save"; readonly file: string };

const HELP: readonly (readonly [command: string, effect: string])[] = [
  ["/help", "these lines"],
  ["/reset", "forget the conversation; the system message stays"],
  [
    "/save FILE",
    "write the conversation to a file, which --session FILE continues; FILE may be left out with --session",
  ],
  ["/quit", "end; so do /exit, /bye and Ctrl-D"],
  ['"""', "begins and ends a turn of several lines; so does a backslash at a line's end, and a paste is one turn"],
  ["Ctrl-C", "stops an answer, clears a line, ends the conversation where there is neither"],
];
const NAMES = ["/help", "/reset", "/save", "/quit", "/exit", "/bye"];

/** The lines of /help. */
export function chatHelp(): string[] {
  const width = Math.max(...HELP.map(([command]) => command.length));
  return HELP.map(([command, effect]) => `  ${command.padEnd(width)}  ${effect}`);
}

/**
 * The command that a line is, or null for a turn of the conversation: what begins with `/`, without a space before it.
 * UserError CHAT_COMMAND for a command that there is not, or one with words that it does not take.
 */
export function chatCommandOf(line: string): ChatCommand | null {
  if (!line.startsWith("/") || line.includes("\n")) return null;
  const [word] = line.trim().split(/\s+/, 1);
  const argument = line.trim().slice(word.length).trim();
  if (word === "/save") return { name: "save", file: argument };
  if (!NAMES.includes(word)) {
    throw new UserError(
      "CHAT_COMMAND",
      `${word}: expected a command, found none of that name`,
      `${didYouMean(word, NAMES, "/help lists them")}; with a space before it the line is a turn`,
    );
  }
  if (argument !== "") {
    throw new UserError("CHAT_COMMAND", `${word}: expected nothing behind it, found ${JSON.stringify(argument)}`);
  }
  return { name: word === "/help" ? "help" : word === "/reset" ? "reset" : "quit" };
}
