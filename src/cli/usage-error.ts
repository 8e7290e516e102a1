import { UserError } from "../errors.ts";
import { meantName } from "../near-names.ts";
import { COMMAND_NAMES } from "./commands.ts";
import { shorten } from "./text/shorten.ts";

/** A word in a command's place that names none. */
export function unknownCommand(word: string): UserError {
  const meant = meantName(word, COMMAND_NAMES);
  const hint = meant === null ? "layerwise --help lists them" : `did you mean ${meant}?`;
  return new UserError("USAGE", `unknown command ${shorten(word)}`, hint);
}

/**
 * What yargs says of a command line, in the words of the other messages. `positionals`: names of the command's
 * arguments, in order; `example`: a command line that is right.
 */
export function usageError(
  message: string,
  command: { readonly name: string; readonly positionals: readonly string[]; readonly example: string } | null,
): UserError {
  const line = message.replaceAll(/\s+/g, " ").trim();
  if (!command) return new UserError("USAGE", shorten(line, 200), "layerwise --help");
  const help = `layerwise ${command.name} --help`;
  const [, got] = /^Not enough non-option arguments: got (\d+)/.exec(line) ?? [];
  if (got !== undefined) {
    const missing = command.positionals.slice(Number(got)).map((name) => `<${name}>`);
    return new UserError(
      "USAGE",
      `${command.name}: expected ${missing.join(" and ")}, found none`,
      `for example layerwise ${command.example}`,
    );
  }
  for (const [pattern, words] of SAYINGS) {
    const found = pattern.exec(line);
    if (found) return new UserError("USAGE", `${command.name}: ${words(found[1], found[2])}`, help);
  }
  return new UserError("USAGE", `${command.name}: ${shorten(line, 200)}`, help);
}

const SAYINGS: readonly (readonly [pattern: RegExp, words: (first: string, second: string) => string])[] = [
  [/^Missing required arguments?: (.+)$/, (names) => `expected --${names.replaceAll(", ", " and --")}, found none`],
  [/^Arguments (\S+) and (\S+) are mutually exclusive$/, (a, b) => `expected --${a} or --${b}, found both`],
  [/^Missing dependent arguments: (\S+) -> (\S+)$/, (a, b) => `--${a}: expected --${b} beside it, found none`],
  [
    /^Unknown arguments?: (.+)$/,
    (words) => `expected nothing more, found ${shorten(words)}; a text of several words stands in quotes`,
  ],
];
