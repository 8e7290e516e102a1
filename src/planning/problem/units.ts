import { CODECS, type CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import { type DecoderSpec, type MatrixInfo, matricesOf } from "../../model/decoder-spec.ts";
import { ALLOCATORS } from "../allocators/index.ts";
import { resolveChoice } from "./codec-choice.ts";
import { candidatesUnder, matchRules, parseRules, type RuleContext } from "./rules.ts";
import type { PlanSettings } from "./settings.ts";

/** One matrix with the codecs that it may get. */
export interface Unit extends MatrixInfo {
  /** rows x cols. */
  readonly weights: number;
  /** Codecs left by the recipe's rules, widest first; at least one. */
  readonly candidates: readonly CodecId[];
  /** The rule that fixed or bounded it, as written. */
  readonly rule: string | null;
}

/** Matrix id -> codec, for every matrix of a model. */
export type Assignment = ReadonlyMap<string, CodecId>;

/**
 * The recipe's codecs for blocks, widest first. Throws UserError `PLAN_CODECS` where two have the same width and the allocator
 * takes one codec a block.
 */
export function blockCodecs(settings: PlanSettings, storedDtype: string): CodecId[] {
  const codecs = widestFirst(settings.codecs.map((choice) => resolveChoice(choice, storedDtype)));
  if (ALLOCATORS[settings.allocator].grain === "matrix") return codecs;
  const twin = codecs.find((id, i) => i > 0 && CODECS[id].bits === CODECS[codecs[i - 1]].bits);
  if (twin === undefined) return codecs;
  throw new UserError(
    "PLAN_CODECS",
    `plan.codecs: expected one codec a width, found ${codecs.join(", ")}`,
    "leave one of the codecs with the same bits out",
  );
}

/** Every matrix of the model in execution order with its candidates after the recipe's rules. */
export function unitsOf(spec: DecoderSpec, settings: PlanSettings, storedDtype: string): Unit[] {
  const matrices = matricesOf(spec);
  const context: RuleContext = { codecs: blockCodecs(settings, storedDtype), storedDtype };
  const rules = matchRules(parseRules(settings.rules), matrices);
  return matrices.map((matrix) => {
    const own = matrix.block === null ? outerCodecs(matrix.id, spec, settings, context) : context.codecs;
    const rule = rules.get(matrix.id);
    const candidates = rule ? candidatesUnder(rule.effect, own, context) : own;
    return { ...matrix, weights: matrix.rows * matrix.cols, candidates, rule: rule?.text ?? null };
  });
}

/** Codecs that some matrix of a block may get, widest first: what a scorer of losses has to measure. */
export function codecsToScore(units: readonly Unit[]): CodecId[] {
  return candidatesOf(units.filter((unit) => unit.block !== null));
}

/** Codecs that embedding and output head may get: the same for scorers that measure these two. */
export function outerCodecsToScore(units: readonly Unit[]): CodecId[] {
  return candidatesOf(units.filter((unit) => unit.block === null));
}

function candidatesOf(units: readonly Unit[]): CodecId[] {
  return widestFirst(units.flatMap((unit) => unit.candidates));
}

/** Without repetitions; of one width those first that cost more bytes. */
function widestFirst(ids: readonly CodecId[]): CodecId[] {
  const bytes = (id: CodecId) => CODECS[id].packedBytes(1024, 1024);
  return [...new Set(ids)].sort((a, b) => CODECS[b].bits - CODECS[a].bits || bytes(b) - bytes(a));
}

/** What embedding and output head may get: the recipe's list where the allocator chooses, else its one codec. */
function outerCodecs(id: string, spec: DecoderSpec, settings: PlanSettings, context: RuleContext): CodecId[] {
  const { allocator, embeddingCodecs } = settings;
  if (ALLOCATORS[allocator].grain === "block" || embeddingCodecs.length === 0) {
    return [outerCodec(id, spec, settings, context)];
  }
  return widestFirst(embeddingCodecs.map((choice) => resolveChoice(choice, context.storedDtype, context.codecs)));
}

/** Embedding and output head have the recipe's codec; a matrix that is both has the wider one. */
function outerCodec(id: string, spec: DecoderSpec, settings: PlanSettings, context: RuleContext): CodecId {
  const embedding = resolveChoice(settings.embedding, context.storedDtype, context.codecs);
  if (settings.head === null) return embedding;
  const head = resolveChoice(settings.head, context.storedDtype, context.codecs);
  if (id === "head") return head;
  return spec.tied && CODECS[head].bits > CODECS[embedding].bits ? head : embedding;
}
