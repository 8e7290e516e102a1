import type { z } from "zod";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { ExitSet } from "../exits/exit-set.ts";
import { createSampler, drawsTokens, type SamplerOptions } from "../sampler.ts";
import type { Session } from "../session.ts";
import type { TokenDecoder } from "../speculative/decoder.ts";
import { DSSD } from "./dssd.ts";
import { EARLY_EXIT } from "./early-exit.ts";
import { PLAIN } from "./plain.ts";
import { VOTE } from "./vote.ts";

export { PLAIN } from "./plain.ts";

/**
 * Every way to compute tokens. Of those that no kind was asked for, the first that will do is taken (choose-decode.ts).
 */
export const DRAFTERS = {
  plain: PLAIN,
  "early-exit": EARLY_EXIT,
  dssd: DSSD,
  vote: VOTE,
} as const;

export type DecodeKind = keyof typeof DRAFTERS;

/** All kinds, in the table's order. */
export const DECODE_KINDS: readonly DecodeKind[] = Object.keys(DRAFTERS).filter(isDecodeKind);

/** All drafters, in the table's order. */
export const ALL_DRAFTERS: readonly (typeof DRAFTERS)[DecodeKind][] = Object.values(DRAFTERS);

/** Drafters whose text is drawn from what an output head says, so that it can be evaluated. */
export const EVALUATED_DRAFTERS = ALL_DRAFTERS.filter(({ executor }) => executor !== undefined);

/** How tokens are computed: the options of one of the drafters. */
export type DecodeOptions = Awaited<ReturnType<(typeof DRAFTERS)[DecodeKind]["choose"]>>;

/** Everything that may be asked of some drafter; what is left out is decided by the model. */
export type DraftersRequest = Both<z.infer<(typeof DRAFTERS)[DecodeKind]["options"]>>;
/** All members of a union at once; one without fields (what zod makes of an empty object) is left out. */
type Both<Union> = (
  Union extends unknown
    ? string extends keyof Union
      ? never
      : (one: Union) => void
    : never
) extends (all: infer All) => void
  ? All
  : never;

/** Schemas of the options of some drafters, by name. */
export function optionSchemasOf(drafters: typeof ALL_DRAFTERS): Readonly<Record<string, z.ZodType>> {
  return Object.assign({}, ...drafters.map(({ options }) => options.shape));
}

/** Those of all drafters. */
export const OPTION_SCHEMAS = optionSchemasOf(ALL_DRAFTERS);

/** What a decoder is made for. */
export interface DecoderSettings {
  /** Default: plain. */
  readonly decode: DecodeOptions | undefined;
  readonly sampler: Partial<SamplerOptions> | undefined;
  /** Every id of the sequence, the coming prompt's too. */
  readonly history: number[];
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/**
 * A decoder that continues a session. Throws UserError SAMPLER as `createSampler`, and what the drafter throws on
 * values out of range.
 */
export function createDecoder(session: Session, settings: DecoderSettings): TokenDecoder {
  const { decode = { kind: PLAIN.kind }, sampler: sampling = {}, history, now } = settings;
  const sampler = createSampler(sampling);
  return DRAFTERS[decode.kind].create(
    { session, sampler, sampling, draws: drawsTokens(sampling), history, now },
    decode,
  );
}

/**
 * An executor whose output head gives what a text of these options is drawn from; null where that depends on what came
 * before. It runs on the caches of the one given, which stays the caller's.
 */
export function executorOfDecode(executor: AnyExecutor, decode: DecodeOptions): AnyExecutor | null {
  return DRAFTERS[decode.kind].executor?.(executor, decode) ?? null;
}

/** The exits that tokens may leave at; null where all come from every block. */
export function exitsOfDecode(decode: DecodeOptions): ExitSet | null {
  return "epsilon" in decode ? decode.exits : null;
}

function isDecodeKind(name: string): name is DecodeKind {
  return Object.hasOwn(DRAFTERS, name);
}
