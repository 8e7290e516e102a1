import type {
  AttentionSpec,
  BlockSpec,
  DecoderSpec,
  HalfNorms,
  LinearSpec,
  MlpSpec,
  NormSpec,
} from "../model/decoder-spec.ts";
import { blockName } from "../model/matrix-id.ts";
import { badArtifact } from "./artifact-error.ts";

/** A number of the spec that must equal another. */
type Claim = readonly [what: string, found: number, expected: number];

/**
 * Throws UserError where a spec contradicts itself: sizes that executors take as agreeing with each other. A schema
 * checks each number by itself only.
 */
export function checkSpec(spec: DecoderSpec, label: string): void {
  const claims: Claim[] = [["finalNorm.size", spec.finalNorm.size, spec.hiddenSize]];
  for (const [i, block] of spec.blocks.entries()) claims.push(...blockClaims(block, blockName(i), spec.hiddenSize));
  for (const [what, found, expected] of claims) {
    if (found !== expected) {
      throw badArtifact(label, `spec.${what}: expected ${expected}, found ${found}`);
    }
  }
  const outside = [spec.bosToken ?? 0, ...spec.eosTokens].find((token) => token >= spec.vocabSize);
  if (outside !== undefined) {
    throw badArtifact(label, `spec: special token: expected an id below ${spec.vocabSize}, found ${outside}`);
  }
}

function blockClaims(block: BlockSpec, at: string, hiddenSize: number): Claim[] {
  return [
    ...halfClaims(block.attentionNorms, `${at}.attentionNorms`, hiddenSize),
    ...(block.attention ? attentionClaims(block.attention, `${at}.attention`, hiddenSize) : []),
    ...halfClaims(block.mlpNorms, `${at}.mlpNorms`, hiddenSize),
    ...(block.mlp ? mlpClaims(block.mlp, `${at}.mlp`, hiddenSize) : []),
  ];
}

function normClaims(norm: NormSpec | null, at: string, size: number): Claim[] {
  return norm ? [[`${at}.size`, norm.size, size]] : [];
}

function halfClaims({ pre, post }: HalfNorms, at: string, size: number): Claim[] {
  return [...normClaims(pre, `${at}.pre`, size), ...normClaims(post, `${at}.post`, size)];
}

/** A norm over a head's channels or over those of all heads. */
function headNormClaims(norm: NormSpec | null, at: string, headDim: number, all: number): Claim[] {
  return normClaims(norm, at, norm?.size === all ? all : headDim);
}

function attentionClaims(attention: AttentionSpec, at: string, hiddenSize: number): Claim[] {
  const { heads, kvHeads, headDim, rope, qNorm, kNorm } = attention;
  const ropeFits = !rope || (rope.dims % 2 === 0 && rope.dims <= headDim);
  return [
    [`${at}.heads modulo kvHeads`, heads % kvHeads, 0],
    [`${at}.rope.dims beyond headDim or odd`, ropeFits ? 0 : 1, 0],
    ...headNormClaims(qNorm, `${at}.qNorm`, headDim, heads * headDim),
    ...headNormClaims(kNorm, `${at}.kNorm`, headDim, kvHeads * headDim),
    ...linearClaims(attention.q, `${at}.q`, heads * headDim, hiddenSize),
    ...linearClaims(attention.k, `${at}.k`, kvHeads * headDim, hiddenSize),
    ...linearClaims(attention.v, `${at}.v`, kvHeads * headDim, hiddenSize),
    ...linearClaims(attention.o, `${at}.o`, hiddenSize, heads * headDim),
    ...ropeClaims(attention, at),
  ];
}

function ropeClaims({ rope }: AttentionSpec, at: string): Claim[] {
  if (rope?.scaling.kind === "yarn") return [[`${at}.rope.theta of 1 or less, for yarn`, rope.theta > 1 ? 0 : 1, 0]];
  if (rope?.scaling.kind !== "longrope") return [];
  const { shortFactor, longFactor } = rope.scaling;
  return [
    [`${at}.rope.scaling.shortFactor.length`, shortFactor.length, rope.dims / 2],
    [`${at}.rope.scaling.longFactor.length`, longFactor.length, rope.dims / 2],
  ];
}

function mlpClaims({ gate, up, down }: MlpSpec, at: string, hiddenSize: number): Claim[] {
  return [
    ...(gate ? linearClaims(gate, `${at}.gate`, up.rows, hiddenSize) : []),
    ...linearClaims(up, `${at}.up`, up.rows, hiddenSize),
    ...linearClaims(down, `${at}.down`, hiddenSize, up.rows),
  ];
}

function linearClaims(linear: LinearSpec, at: string, rows: number, cols: number): Claim[] {
  return [
    [`${at}.rows`, linear.rows, rows],
    [`${at}.cols`, linear.cols, cols],
  ];
}
