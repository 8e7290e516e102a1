import type { ArgumentsCamelCase, Argv } from "yargs";
import type { Terminal } from "./terminal.ts";

/** What a command file declares. */
export interface CommandDeclaration<T> {
  /** As yargs reads it: `run <model> [prompt]`. */
  readonly command: string;
  readonly describe: string;
  /** Command lines, without `layerwise`, and what they do. */
  readonly examples: readonly (readonly [commandLine: string, what: string])[];
  /** Run again after a stop, it continues: exit status 75 instead of 130. */
  readonly resumable?: boolean;
  /** It runs a model as a device does, within the memory that was planned for it. */
  readonly onDevice?: boolean;
  /** Options that may be given more than once, as yargs names them: `outerCodec`. */
  readonly repeatable?: readonly string[];
  options(yargs: Argv<object>): Argv<T>;
  run(args: ArgumentsCamelCase<T>, terminal: Terminal): Promise<void>;
}

/** A command as the table holds it. */
export interface Command {
  readonly name: string;
  readonly onDevice: boolean;
  readonly repeatable: readonly string[];
  /** Names of its arguments that are no options, in order. */
  readonly positionals: readonly string[];
  /** A command line that is right, without `layerwise`. */
  readonly example: string;
  /** Adds its options to a parser. */
  declare(parser: Argv<object>): Argv<object>;
  register(parser: Argv<object>, terminal: Terminal): void;
}

/** Adds to a declaration what every command has: `--json`, its examples, where it prints. */
export function defineCommand<T>(declaration: CommandDeclaration<T>): Command {
  const { command, describe, examples } = declaration;
  const build = (yargs: Argv<object>) =>
    declaration
      .options(
        yargs.option("json", {
          type: "boolean",
          describe: "Print one JSON document to standard output, all else to standard error",
        }),
      )
      .epilogue(examplesText(examples));
  return {
    name: command.split(" ")[0],
    onDevice: declaration.onDevice ?? false,
    repeatable: declaration.repeatable ?? [],
    positionals: [...command.matchAll(/<(\w+)>/g)].map(([, positional]) => positional),
    example: examples[0][0],
    declare: build,
    register(parser, terminal) {
      parser.command(command, describe, build, async (args) => {
        terminal.takeSignals({ resumable: declaration.resumable ?? false });
        await declaration.run(args, terminal);
      });
    },
  };
}

/** Examples for the end of a help text: what, then the command line, unbroken so that it can be copied. */
export function examplesText(examples: CommandDeclaration<unknown>["examples"]): string {
  const lines = examples.map(([commandLine, what]) => `  # ${what}\n  layerwise ${commandLine}`);
  return `Examples:\n${lines.join("\n")}`;
}
