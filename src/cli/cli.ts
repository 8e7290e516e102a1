import yargs from "yargs";
import { UserError } from "../errors.ts";
import { TOOL_VERSION } from "../version.ts";
import { type Command, examplesText } from "./command.ts";
import { allCommands, COMMAND_NAMES, commandNamed } from "./commands.ts";
import { reportFailure } from "./failure.ts";
import { markDashes, unmarkDashes } from "./options/dash-arguments.ts";
import { Terminal } from "./terminal.ts";

const EXAMPLES = [
  ["compress models/smollm2 --budget '160 MiB' --context 2048 --out outputs/smollm2", "fit a checkpoint into a budget"],
  ["run outputs/smollm2/artifact 'Once upon a time' --max-tokens 64", "run the result"],
  ["plan models/smollm2 --budget '160 MiB' --context 2048 --recipe uniform --sweep", "see what budgets would buy"],
] as const;

/**
 * Runs one command line and returns its exit status: 0, 1 (the user can mend it), 70 (a bug), 75 (stopped, run again),
 * 130/143. With `ownsProcess` a signal ends the process soon, whatever it is busy with.
 */
export async function runCommandLine(
  commandLine: readonly string[],
  { ownsProcess = false }: { ownsProcess?: boolean } = {},
): Promise<number> {
  const args = markDashes(commandLine);
  const terminal = new Terminal({ ownsProcess, json: args.some((arg) => arg === "--json" || arg === "--json=true") });
  try {
    const named = await commandNamed(args[0]);
    await parserFor(args, named ? [named] : await allCommands(), terminal).parseAsync();
    return 0;
  } catch (error) {
    return reportFailure(error, terminal);
  } finally {
    terminal.close();
  }
}

function parserFor(args: readonly string[], commands: readonly Command[], terminal: Terminal) {
  const parser = yargs(args)
    .middleware([unmarkDashes, (argv) => refuseRepeated(argv, commands)], true)
    .scriptName("layerwise")
    .usage("$0 <command>\n\nFits a language model to a device's byte budget, layer by layer, and runs it.")
    .locale("en")
    .wrap(terminal.helpWidth)
    .version(TOOL_VERSION)
    .help()
    .alias("h", "help")
    .epilogue(`${examplesText(EXAMPLES)}\n\nEach command has its own help: layerwise <command> --help`)
    .demandCommand(1, "no command given")
    .strict()
    .recommendCommands()
    .exitProcess(false)
    .fail((message, error) => {
      throw error ?? new UserError("USAGE", usageMessage(message, args), usageHint(args));
    });
  for (const command of commands) command.register(parser, terminal);
  return parser;
}

/** yargs collects a repeated option into an array, which no command expects of an option that takes one value. */
function refuseRepeated(argv: Record<string, unknown>, commands: readonly Command[]): void {
  const name = Array.isArray(argv._) ? argv._[0] : "";
  const repeatable = commands.find((command) => command.name === name)?.repeatable ?? [];
  const repeated = Object.keys(argv).find(
    (key) => key !== "_" && Array.isArray(argv[key]) && !repeatable.includes(key),
  );
  if (repeated) throw new UserError("USAGE", `--${repeated}: expected once, found several times`);
}

/** yargs' own message on one line; an unknown command is called that, and a near miss names both. */
function usageMessage(message: string, args: readonly string[]): string {
  const line = message.replaceAll(/\s+/g, " ").trim();
  if (line.startsWith("Did you mean")) return `unknown command ${args[0]}: ${line}`;
  const isUnknown = !args[0]?.startsWith("-") && !COMMAND_NAMES.includes(args[0]);
  return line.startsWith("Unknown argument") && isUnknown ? `unknown command ${args[0]}` : line;
}

function usageHint(args: readonly string[]): string {
  return COMMAND_NAMES.includes(args[0]) ? `layerwise ${args[0]} --help` : "layerwise --help";
}
