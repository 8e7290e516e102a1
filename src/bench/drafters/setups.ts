import type { z } from "zod";
import type { DrafterVariant, VariantFacts } from "../../decoding/drafters/drafter.ts";
import { ALL_DRAFTERS, type DecodeOptions, exitsOfDecode, PLAIN } from "../../decoding/drafters/index.ts";
import type { ExitSet } from "../../decoding/exits/exit-set.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";

const BENCHES = ALL_DRAFTERS.flatMap(({ bench }) => (bench === null ? [] : [bench]));

/** Plain decoding, and the kinds of variants that drafters are measured as (DrafterBench). */
export const DRAFTER_KINDS = [PLAIN.kind, ...BENCHES.flatMap(({ kinds }) => Object.keys(kinds))];

/** Of each kind of variant: the name of the line in a picture that a row belongs to. */
export const PICTURE_LINES: readonly [kind: string, lineOf: (row: VariantFacts) => string][] = BENCHES.flatMap(
  ({ kinds }) => Object.entries(kinds),
);

/** One way to decode that is measured. */
export type DrafterSetup = DrafterVariant<DecodeOptions>;

/** Schemas of the lists that are swept, by name. */
export const SWEEP_SCHEMAS: Readonly<Record<string, z.ZodType>> = Object.assign(
  {},
  ...BENCHES.map(({ sweep }) => sweep.shape),
);

/** What is swept, by name; what is left out is as the drafter's default. */
export type DrafterSweep = Readonly<Record<string, readonly number[] | null>>;

/** Plain decoding, which all others are compared with. */
export const PLAIN_SETUP: DrafterSetup = {
  ...{ kind: PLAIN.kind, name: PLAIN.kind, exit: null, epsilon: null, draftLimit: null },
  decode: { kind: PLAIN.kind },
};

/**
 * Every way to draft of a sweep, plain decoding not among them, drafter by drafter. Throws UserError EPSILON or
 * DRAFT_LIMIT for values that could not be decoded with.
 */
export async function drafterSetups(
  exits: ExitSet,
  spec: DecoderSpec,
  sweep: DrafterSweep = {},
  model: OpenModel | null = null,
): Promise<DrafterSetup[]> {
  const setups: DrafterSetup[] = [];
  for (const bench of BENCHES) {
    const own = Object.entries(sweep).filter(([name]) => name in bench.sweep.shape);
    setups.push(...(await bench.variants({ exits, spec, model }, Object.fromEntries(own))));
  }
  return setups;
}

/** Whether a way to decode changes what it does as it pays. */
export function adapts({ decode }: DrafterSetup): boolean {
  return "adapt" in decode && decode.adapt === true;
}

/** Which exits a way to decode asks: those with a threshold at any level that it may come to use. */
export function askedExits(setup: DrafterSetup): boolean[] {
  const { decode, epsilon } = setup;
  const set = exitsOfDecode(decode);
  if (set === null) return [];
  const { exits, levels } = set;
  const first = "firstExit" in decode && !adapts(setup) ? (decode.firstExit ?? 0) : 0;
  const level = levels.find((one) => one.epsilon >= (epsilon ?? 0) - 1e-9);
  const used = adapts(setup) || level === undefined ? levels : [level];
  return exits.map((_, i) => i >= first && used.some(({ thresholds }) => thresholds[i] !== null));
}
