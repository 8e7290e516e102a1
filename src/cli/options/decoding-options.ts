import type { Argv } from "yargs";
import { DECODE_KINDS, type DecodeKind } from "../../decoding/decode-kinds.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { SamplerOptions } from "../../decoding/sampler.ts";
import type { DecodeOptions } from "../../decoding/speculative/create-decoder.ts";

/** What commands that generate accept about early exits. */
export interface DecodingArguments {
  decode: DecodeKind | undefined;
  epsilon: number | undefined;
  "draft-limit": number | undefined;
  adapt: boolean | undefined;
  "show-exits": boolean | undefined;
}

/** Adds `--decode`, `--epsilon`, `--draft-limit`, `--no-adapt` and `--show-exits`. */
export function decodingOptions<T>(yargs: Argv<T>): Argv<T & DecodingArguments> {
  return yargs
    .option("decode", {
      choices: DECODE_KINDS,
      describe:
        "plain: every block for every token; early-exit: exits answer, faster, slightly other text; dssd: exits draft, the same text. Default: dssd where it is sure to be the same",
    })
    .option("epsilon", {
      type: "number",
      describe:
        "Agreement with the full model that exits are to have; default: 0.9 for early-exit, for dssd what promises to be fastest",
    })
    .option("draft-limit", {
      type: "number",
      describe: "dssd: drafts before they are verified, at most; default: likewise",
    })
    .option("adapt", {
      type: "boolean",
      describe:
        "dssd: change both, and which exits are asked, as it pays; default: at temperature 0. --no-adapt keeps to what was asked, or 0.8 and 8",
    })
    .option("show-exits", { type: "boolean", describe: "Show by each token's colour, or mark, how deep it came from" })
    .group(["decode", "epsilon", "draft-limit", "adapt", "show-exits"], "Decoding:");
}

/** What decoding needs of the parsed arguments. */
export interface DecodingChoice {
  readonly decode?: DecodeKind | undefined;
  readonly epsilon?: number | undefined;
  readonly draftLimit?: number | undefined;
  readonly adapt?: boolean | undefined;
}

/** The arguments as the library takes them; loads the model's exits where they are needed. */
export async function decodeOptions(
  model: OpenModel,
  { decode, epsilon, draftLimit, adapt }: DecodingChoice,
  sampler: SamplerOptions,
): Promise<DecodeOptions> {
  const { chooseDecode } = await import("../../decoding/choose-decode.ts");
  return chooseDecode(model, { kind: decode, epsilon, draftLimit, adapt }, sampler);
}

/** The same for `--json`: how tokens were computed. */
export function decodeDocument(decode: DecodeOptions) {
  if (decode.kind === "plain") return { kind: decode.kind };
  const { kind, epsilon } = decode;
  if (kind === "early-exit") return { kind, epsilon };
  const firstExit = decode.exits.exits[decode.firstExit ?? 0].blocks;
  return { kind, epsilon, draftLimit: decode.draftLimit, firstExit, adapt: decode.adapt };
}
