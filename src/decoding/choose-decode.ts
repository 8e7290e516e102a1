import { UserError } from "../errors.ts";
import { traitsOf } from "../runtime/executors.ts";
import { flagOf } from "./drafters/drafter.ts";
import {
  ALL_DRAFTERS,
  DECODE_KINDS,
  type DecodeKind,
  type DecodeOptions,
  DRAFTERS,
  type DraftersRequest,
  EVALUATED_DRAFTERS,
  executorOfDecode,
  OPTION_SCHEMAS,
  PLAIN,
} from "./drafters/index.ts";
import type { OpenModel } from "./open-model.ts";
import { drawsTokens, type SamplerOptions } from "./sampler.ts";

/** How a user wants tokens computed; what is left out is decided by the model. */
export type DecodeRequest = DraftersRequest & { readonly kind?: DecodeKind | undefined };

/**
 * How a model decodes, with everything said that the request left out. Without a kind: the drafter that can do what was
 * asked; where nothing was, one whose text is plain decoding's own for certain, which is at temperature 0 on an
 * executor whose rows are exact, if the model has what it needs; else plain. Loads what the drafter needs. Throws
 * UserError as the drafter where the model has not what it needs (NO_EXITS) and for values out of range (EPSILON,
 * DRAFT_LIMIT), and DECODE for settings that the kind has not.
 */
export async function chooseDecode(
  model: OpenModel,
  { kind: wanted, ...request }: DecodeRequest = {},
  sampler: Partial<SamplerOptions> = {},
): Promise<DecodeOptions> {
  const settings = Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
  const draws = drawsTokens(sampler);
  const kind = wanted ?? (await kindFor(model, Object.keys(settings), draws));
  for (const name of Object.keys(OPTION_SCHEMAS)) if (name in settings) checkTakes(kind, name);
  return DRAFTERS[kind].choose(model, settings, draws);
}

/** A model as `eval` asks it, and how its text would be decoded. */
export interface EvaluatedModel {
  /** Its executor's output head gives what the text is drawn from; closing it closes the model. */
  readonly model: OpenModel;
  readonly decode: DecodeOptions;
}

/**
 * The model under what a request asks for, plain decoding where it asks for nothing. Throws UserError DECODE for a kind
 * without an output head, and what `chooseDecode` throws.
 */
export async function modelOfDecode(model: OpenModel, request: DecodeRequest): Promise<EvaluatedModel> {
  const asksNothing = Object.values(request).every((value) => value === undefined);
  const decode = await chooseDecode(model, asksNothing ? { kind: PLAIN.kind } : request);
  const executor = executorOfDecode(model.executor, decode);
  if (executor) return { model: { ...model, executor }, decode };
  const kinds = EVALUATED_DRAFTERS.map((drafter) => drafter.kind);
  throw new UserError("DECODE", `decode: expected ${kinds.join(" or ")} to evaluate with, found ${decode.kind}`);
}

async function kindFor(model: OpenModel, settings: readonly string[], draws: boolean): Promise<DecodeKind> {
  if (settings.length > 0) {
    const able = ALL_DRAFTERS.filter(({ kind }) => settings.every((name) => takes(kind, name)));
    return (able.find(({ lossless }) => lossless) ?? able[0] ?? PLAIN).kind;
  }
  if (draws || !traitsOf(model.executor.info).rowExact) return PLAIN.kind;
  for (const { kind, unasked, lossless, needs } of ALL_DRAFTERS) {
    if (unasked && lossless && (needs === null || (await needs.isThere(model)))) return kind;
  }
  return PLAIN.kind;
}

const takes = (kind: DecodeKind, setting: string) => setting in DRAFTERS[kind].options.shape;

function checkTakes(kind: DecodeKind, setting: string): void {
  if (takes(kind, setting)) return;
  const kinds = DECODE_KINDS.filter((one) => takes(one, setting)).join(" or ");
  const flag = flagOf(setting);
  throw new UserError("DECODE", `${flag}: expected decode ${kinds}, found ${kind}`, `leave out ${flag}`);
}
