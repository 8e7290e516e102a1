import type { Argv } from "yargs";
import { ZodArray, ZodBoolean, ZodEnum, ZodOptional, type ZodType } from "zod";
import type { DecodeRequest } from "../../decoding/choose-decode.ts";
import { flagOf } from "../../decoding/drafters/drafter.ts";
import {
  ALL_DRAFTERS,
  DECODE_KINDS,
  type DecodeKind,
  type DecodeOptions,
  DRAFTERS,
  OPTION_SCHEMAS,
} from "../../decoding/drafters/index.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { SamplerOptions } from "../../decoding/sampler.ts";
import { checkedNumbers } from "./number-bounds.ts";

/** What commands that generate accept about drafters, besides what the drafters themselves let be asked for. */
export interface DecodingArguments {
  decode: DecodeKind | undefined;
  "show-exits": boolean | undefined;
}

/** Adds `--decode`, the drafters' options (`--epsilon`, `--draft-limit`, `--no-adapt`) and `--show-exits`. */
export function decodingOptions<T>(yargs: Argv<T>): Argv<T & DecodingArguments> {
  const all = yargs
    .option("decode", { choices: DECODE_KINDS, describe: kindsText() })
    .option("show-exits", { type: "boolean", describe: "Show by each token's colour, or mark, how deep it came from" })
    .group(["decode", ...Object.keys(OPTION_SCHEMAS).map(flagOf), "show-exits"], "Decoding:");
  return drafterOptions(all, OPTION_SCHEMAS);
}

/** Adds options of drafters: a number, a switch, a choice, or numbers in a list (8,16,24), as their schemas say. */
export function drafterOptions<T>(yargs: Argv<T>, schemas: Readonly<Record<string, ZodType>>): Argv<T> {
  for (const [name, schema] of Object.entries(schemas)) {
    const kind = valueSchema(schema);
    const { description: describe } = schema;
    if (kind instanceof ZodBoolean) yargs.option(flagOf(name), { type: "boolean", describe });
    else if (kind instanceof ZodEnum) yargs.option(flagOf(name), { choices: kind.options, describe });
    else if (kind instanceof ZodArray) yargs.option(flagOf(name), { type: "string", describe });
    else yargs.option(flagOf(name), { type: "number", describe });
  }
  return yargs;
}

function kindsText(): string {
  const kinds = ALL_DRAFTERS.map(({ kind, what }) => `${kind}: ${what}`).join("; ");
  const unasked = ALL_DRAFTERS.filter((drafter) => drafter.unasked).map(({ kind }) => kind);
  return `${kinds}. Default: ${unasked.join(" or ")} where it is sure to be the same`;
}

/** The arguments as the library takes them; loads what of the model the drafter needs. */
export async function decodeOptions(
  model: OpenModel,
  args: { readonly decode?: DecodeKind | undefined } & Readonly<Record<string, unknown>>,
  sampler: SamplerOptions,
): Promise<DecodeOptions> {
  const { chooseDecode } = await import("../../decoding/choose-decode.ts");
  return chooseDecode(model, decodeRequest(args), sampler);
}

/** What was asked for. Throws UserError USAGE for a list that is not one of numbers. */
export function decodeRequest(
  args: { readonly decode?: DecodeKind | undefined } & Readonly<Record<string, unknown>>,
): DecodeRequest {
  const asked = Object.fromEntries(Object.keys(OPTION_SCHEMAS).map((name) => [name, askedValue(name, args[name])]));
  return { kind: args.decode, ...asked };
}

/** What an option is where it is given. */
function valueSchema(schema: ZodType) {
  return schema instanceof ZodOptional ? schema.unwrap() : schema;
}

/** Of drafters' options only lists are text. */
function askedValue(name: string, value: unknown): unknown {
  const isList = valueSchema(OPTION_SCHEMAS[name]) instanceof ZodArray;
  return isList && typeof value === "string" ? checkedNumbers(flagOf(name), value) : value;
}

/** The same for `--json`: how tokens were computed. */
export function decodeDocument(decode: DecodeOptions): Readonly<Record<string, unknown>> {
  return DRAFTERS[decode.kind].describe(decode);
}
