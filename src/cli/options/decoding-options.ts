import type { Argv } from "yargs";
import { ZodBoolean, ZodOptional } from "zod";
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

/** What commands that generate accept about drafters, besides what the drafters themselves let be asked for. */
export interface DecodingArguments {
  decode: DecodeKind | undefined;
  "show-exits": boolean | undefined;
}

/** Adds `--decode`, the drafters' options (`--epsilon`, `--draft-limit`, `--no-adapt`) and `--show-exits`. */
export function decodingOptions<T>(yargs: Argv<T>): Argv<T & DecodingArguments> {
  const options = Object.entries(OPTION_SCHEMAS).map(([name, schema]) => ({ flag: flagOf(name), schema }));
  const all = yargs
    .option("decode", { choices: DECODE_KINDS, describe: kindsText() })
    .option("show-exits", { type: "boolean", describe: "Show by each token's colour, or mark, how deep it came from" })
    .group(["decode", ...options.map(({ flag }) => flag), "show-exits"], "Decoding:");
  for (const { flag, schema } of options) {
    const isFlag = schema instanceof ZodOptional && schema.unwrap() instanceof ZodBoolean;
    all.option(flag, { type: isFlag ? "boolean" : "number", describe: schema.description });
  }
  return all;
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
  const asked = Object.fromEntries(Object.keys(OPTION_SCHEMAS).map((name) => [name, args[name]]));
  const request: DecodeRequest = { kind: args.decode, ...asked };
  return chooseDecode(model, request, sampler);
}

/** The same for `--json`: how tokens were computed. */
export function decodeDocument(decode: DecodeOptions): Readonly<Record<string, unknown>> {
  return DRAFTERS[decode.kind].describe(decode);
}
