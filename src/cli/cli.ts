import yargs, { type Argv } from "yargs";
import { TOOL_VERSION } from "../version.ts";
import { type Command, examplesText } from "./command.ts";
import { allCommands, commandNamed, commandWord } from "./commands.ts";
import { reportFailure } from "./failure.ts";
import { checkArguments, checkOptions } from "./options/check-arguments.ts";
import { markDashes, unmarkDashes } from "./options/dash-arguments.ts";
import { declaredOptions } from "./options/declared-options.ts";
import { Terminal } from "./terminal.ts";
import { unknownCommand, usageError } from "./usage-error.ts";

const EXAMPLES = [
  ["compress models/smollm2 --budget '160 MiB' --context 2048 --out outputs/smollm2", "fit a checkpoint into a budget"],
  ["run outputs/smollm2/artifact 'Once upon a time' --max-tokens 64", "run the result"],
  ["plan models/smollm2 --context 2048 --recipe uniform --sweep", "see what budgets would buy"],
] as const;

/**
 * Runs one command line and returns its exit status: 0, 1 (the user can mend it), 70 (a bug), 75 (stopped, run again),
 * 130/143. With `ownsProcess` a signal ends the process soon, whatever it is busy with.
 */
export async function runCommandLine(
  commandLine: readonly string[],
  { ownsProcess = false }: { ownsProcess?: boolean } = {},
): Promise<number> {
  const args = markDashes(spelledOut(commandLine));
  const json = args.some((arg) => arg === "--json" || arg === "--json=true");
  const terminal = new Terminal({ json, ownsProcess });
  // What nobody awaits fails like everything else.
  if (ownsProcess) process.on("uncaughtException", (error) => process.exit(reportFailure(error, terminal, args)));
  try {
    const named = await commandNamed(commandWord(args));
    if (!named && !args[0].startsWith("-")) throw unknownCommand(args[0]);
    await parserFor(args, named ? [named] : await allCommands(), terminal).parseAsync();
    return 0;
  } catch (error) {
    return reportFailure(error, terminal, args);
  } finally {
    terminal.close();
  }
}

/** What people type for help and version: `help run`, `version`, nothing at all. */
function spelledOut([first, ...others]: readonly string[]): readonly string[] {
  if (first === undefined) return ["--help"];
  if (first === "help") return [...others, "--help"];
  return first === "version" ? ["--version"] : [first, ...others];
}

function parserFor(args: readonly string[], commands: readonly Command[], terminal: Terminal) {
  const command = commands.length === 1 ? commands[0] : null;
  const help = command ? `layerwise ${command.name} --help` : "layerwise --help";
  const { repeatable = [] } = command ?? {};
  // yargs keeps the options of the command that is being run in the same parser.
  const given = () => ({ typed: args, declared: declaredOptions(parser), repeatable, help });
  const check = (argv: Record<string, unknown>) => checkArguments({ ...given(), argv });
  const parser: Argv<object> = yargs(args)
    .boolean("json")
    .middleware([unmarkDashes, check], true)
    .scriptName("layerwise")
    .usage("$0 <command>\n\nFits a language model to a device's byte budget, layer by layer, and runs it.")
    .locale("en")
    .wrap(terminal.helpWidth)
    .version(TOOL_VERSION)
    .alias("V", "version")
    .help()
    .alias("h", "help")
    .epilogue(`${examplesText(EXAMPLES)}\n\nEach command has its own help: layerwise help <command>`)
    .demandCommand(1, "expected a command, found none")
    .strict()
    .exitProcess(false)
    .fail((message, error) => {
      if (!error) checkOptions(given());
      throw error ?? usageError(message, command);
    });
  for (const one of commands) one.register(parser, terminal);
  return parser;
}
