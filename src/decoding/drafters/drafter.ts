import { z } from "zod";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { ExitSet } from "../exits/exit-set.ts";
import type { OpenModel } from "../open-model.ts";
import type { DecoderParts, TokenDecoder } from "../speculative/decoder.ts";

/** How tokens are computed: one drafter's options; what else they hold is its own. */
export interface DecodeBase {
  readonly kind: string;
}

/**
 * An option that is a number where it is given; which ones will do is the drafter's to say, of NaN too, which no other
 * schema lets by.
 */
export function optionalNumber(description: string) {
  return z.number().or(z.nan()).optional().describe(description);
}

/** The name that an option has on the command line and in messages: `draftLimit` is `draft-limit`. */
export function flagOf(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** Something of an artifact that a drafter cannot do without, as early exits. */
export interface ModelNeed {
  /** Whether the model has it. Loads it where it does. */
  isThere(model: OpenModel): Promise<boolean>;
}

/** Counts of a decoder that a drafter may have something to say with, in the order in which they are shown. */
export const REPORTED_COUNTS = ["drafts", "sharedPasses", "plainRounds"] as const;
export type ReportedCount = (typeof REPORTED_COUNTS)[number];

/** What a drafter declares. `Options`: what `choose` decides and `create` takes; `Request`: what may be asked for. */
export interface DrafterDeclaration<Options extends DecodeBase, Request extends z.ZodObject> {
  readonly kind: Options["kind"];
  /** For people, one clause: "every block for every token". */
  readonly what: string;
  /** The text is plain decoding's own, or drawn from its distribution, wherever the executor's rows are exact. */
  readonly lossless: boolean;
  /** Taken where no kind is asked for, the text is sure to be plain decoding's, and the model has what is needed. */
  readonly unasked: boolean;
  /** Null: any model will do. */
  readonly needs: ModelNeed | null;
  /**
   * What may be asked for: every field optional, a number, a boolean, a choice or numbers in a list, described for
   * people. Fields of one name in several drafters are one schema. The command line's options come from it.
   */
  readonly options: Request;
  /** Which counts say something of it; none: it does the same for every token. */
  readonly reports: readonly ReportedCount[];
  /** Null: `bench --drafters` leaves it out. */
  readonly bench: DrafterBench<Options> | null;
  /**
   * Says all that the request left open. Throws UserError where the model has not what is needed, and for values out of
   * range.
   */
  choose(model: OpenModel, request: z.infer<Request>, draws: boolean): Promise<Options>;
  /**
   * An executor whose output head gives what the text is drawn from, for `eval`: the one given, or one over its caches.
   * Absent where no head gives it: what is drawn depends on the exit that was sure.
   */
  executor?(executor: AnyExecutor, options: Options): AnyExecutor;
  /** A decoder that continues a session. Throws as `choose` for values out of range. */
  create(parts: DecoderParts, options: Options): TokenDecoder;
  /** The options as a JSON document shows them. */
  describe(options: Options): Readonly<Record<string, unknown>>;
}

/** What a drafter is measured as, beside plain decoding. */
export interface DrafterBench<Options extends DecodeBase> {
  /** Kinds of variants, and in a picture the name of the line that a row of the kind belongs to. */
  readonly kinds: Readonly<Record<string, (row: VariantFacts) => string>>;
  /**
   * Lists of numbers that are swept, each with a default and a description for people; null: as the drafter decides.
   */
  readonly sweep: z.ZodObject;
  /** Every variant of a sweep. Throws UserError for values that could not be decoded with. */
  variants(swept: SweptModel, sweep: Readonly<Record<string, unknown>>): Promise<DrafterVariant<Options>[]>;
}

/** What is swept over: a model's exits; `model` is null where there is only as much of one. */
export interface SweptModel {
  readonly spec: DecoderSpec;
  readonly exits: ExitSet;
  readonly model: OpenModel | null;
}

/** What tells one variant from another. */
export interface VariantFacts {
  /** One of `kinds`. */
  readonly kind: string;
  readonly name: string;
  /** Blocks run before the one exit that answers every time: variants that others are compared with. Null for these. */
  readonly exit: number | null;
  /** Level of agreement, the first one where it adapts. */
  readonly epsilon: number | null;
  readonly draftLimit: number | null;
}

/** One way to decode that is measured. */
export interface DrafterVariant<Options extends DecodeBase> extends VariantFacts {
  readonly decode: Options;
}

/** A drafter as the table holds it: takes any options, and refuses those of others. */
export interface Drafter<Options extends DecodeBase, Request extends z.ZodObject>
  extends Omit<DrafterDeclaration<Options, Request>, "choose" | "executor" | "create" | "describe"> {
  choose(model: OpenModel, request: Readonly<Record<string, unknown>>, draws: boolean): Promise<Options>;
  executor?(executor: AnyExecutor, options: DecodeBase): AnyExecutor;
  create(parts: DecoderParts, options: DecodeBase): TokenDecoder;
  describe(options: DecodeBase): Readonly<Record<string, unknown>>;
}

/** Makes a declaration a row of the table. */
export function defineDrafter<Options extends DecodeBase, Request extends z.ZodObject>(
  declaration: DrafterDeclaration<Options, Request>,
): Drafter<Options, Request> {
  const isOwn = (options: DecodeBase): options is Options => options.kind === declaration.kind;
  const own = (options: DecodeBase): Options => {
    if (isOwn(options)) return options;
    throw new Error(`decode: expected ${declaration.kind}, found ${options.kind}`);
  };
  const { executor: voice } = declaration;
  return {
    ...declaration,
    ...(voice && { executor: (executor, options) => voice(executor, own(options)) }),
    choose: (model, request, draws) => declaration.choose(model, declaration.options.parse(request), draws),
    create: (parts, options) => declaration.create(parts, own(options)),
    describe: (options) => declaration.describe(own(options)),
  };
}
