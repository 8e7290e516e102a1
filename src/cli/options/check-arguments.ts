import { flagOf } from "../../decoding/drafters/drafter.ts";
import { UserError } from "../../errors.ts";
import { meantName } from "../../near-names.ts";
import { shorten } from "../text/shorten.ts";
import type { DeclaredOptions } from "./declared-options.ts";
import { checkedNumber } from "./number-bounds.ts";

/** Arguments as they were typed, and what they may be. */
export interface GivenArguments {
  readonly typed: readonly string[];
  readonly declared: DeclaredOptions;
  /** Options that may be given more than once. */
  readonly repeatable: readonly string[];
  /** What to type for help. */
  readonly help: string;
}

/** Options that mean something without a value too. */
const BARE = new Set(["sweep"]);
/** Texts that may be empty. */
const TEXTS = new Set(["prompt", "system"]);

/**
 * Refuses what yargs lets by or words for programmers: options that are none, without a value, negated, given twice,
 * empty, no number or out of bounds, or none of the choices. Throws UserError USAGE.
 */
export function checkArguments(given: GivenArguments & { readonly argv: Readonly<Record<string, unknown>> }): void {
  const { argv, declared, repeatable } = given;
  checkOptions(given);
  for (const [key, value] of Object.entries(argv)) {
    const name = flagOf(key);
    if (key !== "_" && Array.isArray(value) && !repeatable.includes(key)) {
      throw new UserError("USAGE", `--${name}: expected once, found several times`);
    }
    const isEmpty = [value].flat().includes("") && key !== "_" && key !== "$0";
    if (isEmpty && !TEXTS.has(key) && !BARE.has(key)) throw emptyValue(name, name in declared.key);
    for (const choice of declared.choices[name] ? [value].flat() : []) {
      if (choice !== undefined) checkChoice(name, String(choice), declared.choices[name]);
    }
  }
}

/** The same of the options alone, before yargs finds that arguments are missing. Throws UserError USAGE. */
export function checkOptions(given: GivenArguments): void {
  for (const option of typedOptions(given.typed)) checkOption(option, given);
}

/** An option as it was typed: `--max-tokens 5`, `--max-tokens=5`, `-h`. */
interface TypedOption {
  /** With its dashes. */
  readonly typed: string;
  /** As it is declared: `max-tokens`. */
  readonly name: string;
  /** Null where nothing follows, or another option. */
  readonly text: string | null;
}

function typedOptions(args: readonly string[]): TypedOption[] {
  return args.flatMap((arg, i) => {
    const [, typed, text] = /^(--?[a-z][^=]*)(?:=(.*))?$/is.exec(arg) ?? [];
    if (typed === undefined) return [];
    const next = args[i + 1];
    const follows = next === undefined || /^--?[a-z]/i.test(next) ? null : next;
    return [{ typed, name: flagOf(typed.replace(/^--?/, "")), text: text ?? follows }];
  });
}

function checkOption({ typed, name, text }: TypedOption, { declared, help }: GivenArguments): void {
  const positive = name.replace(/^no-/, "");
  if (!(name in declared.key)) {
    if (declared.boolean.includes(positive)) return;
    if (positive in declared.key) {
      throw new UserError(
        "USAGE",
        `${typed}: expected --${positive} with a value; only switches can be taken back`,
        help,
      );
    }
    const names = Object.keys(declared.key).map((known) => `--${known}`);
    const meant = meantName(typed, names);
    throw new UserError("USAGE", `unknown option ${shorten(typed)}`, meant === null ? help : `did you mean ${meant}?`);
  }
  if (declared.boolean.includes(name)) return;
  const isMissing = text === null || (text === "" && !TEXTS.has(name));
  if (isMissing && !BARE.has(name)) throw new UserError("USAGE", `${typed}: expected a value, found none`, help);
  if (text && declared.number.includes(name)) checkedNumber(name, text);
}

function emptyValue(name: string, isOption: boolean): UserError {
  return new UserError("USAGE", `${isOption ? "--" : ""}${name}: expected a value, found an empty one`);
}

function checkChoice(name: string, value: string, choices: readonly string[]): void {
  if (choices.includes(value)) return;
  const expected = `${choices.slice(0, -1).join(", ")} or ${choices[choices.length - 1]}`;
  const meant = meantName(value, choices);
  const hint = meant === null ? undefined : `did you mean ${meant}?`;
  throw new UserError("USAGE", `--${name}: expected ${expected}, found ${shorten(value)}`, hint);
}
