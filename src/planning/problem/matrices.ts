import { CODECS, type CodecId } from "../../codecs/index.ts";
import { type DecoderSpec, type MatrixInfo, matricesOf } from "../../model/decoder-spec.ts";
import { resolveChoice } from "./codec-choice.ts";
import { candidatesUnder, matchRules, parseRules, type RuleContext } from "./rules.ts";
import type { ProblemSettings } from "./settings.ts";

/** One matrix with the codecs that it may get. */
export interface MatrixToPlan extends MatrixInfo {
  /** rows x cols. */
  readonly weights: number;
  /** Codecs left by the recipe's rules, widest first; at least one. */
  readonly candidates: readonly CodecId[];
  /** The rule that fixed or bounded it, as written. */
  readonly rule: string | null;
}

/** Matrix id -> codec, for every matrix of a model. */
export type Assignment = ReadonlyMap<string, CodecId>;

/** How fine an allocator decides, and which codecs matrices may then get. */
export interface Grain {
  readonly name: "block" | "matrix";
  /** The codecs of blocks, of those that the recipe names, widest first. Throws UserError `PLAN_CODECS`. */
  blockCodecs(named: readonly CodecId[]): readonly CodecId[];
  /**
   * The codecs of embedding or output head: its one codec by the recipe, and the recipe's list for both, which may be
   * empty.
   */
  outerCodecs(own: CodecId, listed: readonly CodecId[]): readonly CodecId[];
}

/** What of a recipe decides on candidates. */
export type CandidateSettings = Pick<ProblemSettings, "codecs" | "embedding" | "head" | "embeddingCodecs" | "rules">;

/** Whose candidates are wanted. */
export interface CandidateRequest {
  readonly spec: DecoderSpec;
  readonly settings: CandidateSettings;
  /** Type of the checkpoint's weights (BF16, F16, F32): what 16 bits mean. */
  readonly storedDtype: string;
}

/**
 * The recipe's codecs for blocks, widest first. Throws UserError `PLAN_CODECS` where the grain cannot have them
 * together.
 */
export function blockCodecs(grain: Grain, settings: CandidateSettings, storedDtype: string): readonly CodecId[] {
  return grain.blockCodecs(widestFirst(settings.codecs.map((choice) => resolveChoice(choice, storedDtype))));
}

/** Every matrix of the model in execution order with its candidates after the recipe's rules. */
export function matricesToPlan(grain: Grain, { spec, settings, storedDtype }: CandidateRequest): MatrixToPlan[] {
  const matrices = matricesOf(spec);
  const context: RuleContext = { codecs: blockCodecs(grain, settings, storedDtype), storedDtype };
  const listed = widestFirst(
    settings.embeddingCodecs.map((choice) => resolveChoice(choice, storedDtype, context.codecs)),
  );
  const rules = matchRules(parseRules(settings.rules), matrices);
  return matrices.map((matrix) => {
    const own =
      matrix.block === null
        ? grain.outerCodecs(outerCodec(matrix.id, spec, settings, context), listed)
        : context.codecs;
    const rule = rules.get(matrix.id);
    const candidates = rule ? candidatesUnder(rule.effect, own, context) : own;
    return { ...matrix, weights: matrix.rows * matrix.cols, candidates, rule: rule?.text ?? null };
  });
}

/** Codecs that some matrix of a block may get, widest first: what a scorer of losses has to measure. */
export function codecsToScore(matrices: readonly MatrixToPlan[]): CodecId[] {
  return candidatesOf(matrices.filter(({ block }) => block !== null));
}

/** Codecs that embedding and output head may get: the same for scorers that measure these two. */
export function outerCodecsToScore(matrices: readonly MatrixToPlan[]): CodecId[] {
  return candidatesOf(matrices.filter(({ block }) => block === null));
}

function candidatesOf(matrices: readonly MatrixToPlan[]): CodecId[] {
  return widestFirst(matrices.flatMap(({ candidates }) => candidates));
}

/** Without repetitions; of one width those first that cost more bytes. */
function widestFirst(ids: readonly CodecId[]): CodecId[] {
  const bytes = (id: CodecId) => CODECS[id].packedBytes(1024, 1024);
  return [...new Set(ids)].sort((a, b) => CODECS[b].bits - CODECS[a].bits || bytes(b) - bytes(a));
}

/** Embedding and output head have the recipe's codec; a matrix that is both has the wider one. */
function outerCodec(id: string, spec: DecoderSpec, settings: CandidateSettings, context: RuleContext): CodecId {
  const embedding = resolveChoice(settings.embedding, context.storedDtype, context.codecs);
  if (settings.head === null) return embedding;
  const head = resolveChoice(settings.head, context.storedDtype, context.codecs);
  if (id === "head") return head;
  return spec.tied && CODECS[head].bits > CODECS[embedding].bits ? head : embedding;
}
