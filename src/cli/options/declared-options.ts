import type { Argv } from "yargs";

/** What a parser knows of its options, by their names; yargs has it for completion scripts and leaves it untyped. */
export interface DeclaredOptions {
  readonly key: Readonly<Record<string, unknown>>;
  readonly boolean: readonly string[];
  readonly number: readonly string[];
  readonly choices: Readonly<Record<string, readonly string[]>>;
}

/** The options that were declared so far. */
export function declaredOptions(parser: Argv<object>): DeclaredOptions {
  return (parser as unknown as { getOptions(): DeclaredOptions }).getOptions();
}
