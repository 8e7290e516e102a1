import type { BlockSpec, DecoderSpec, LinearSpec } from "../../src/model/decoder-spec.ts";
import { PlanSettings } from "../../src/planning/plan-settings.ts";
import type { Scores } from "../../src/scoring/scores.ts";

const linear = (rows: number, cols: number): LinearSpec => ({ rows, cols, bias: false });

function block(hidden: number, ffn: number, heads: number, kvHeads: number): BlockSpec {
  const headDim = hidden / heads;
  const norm = { kind: "rms" as const, size: hidden, eps: 1e-5 };
  return {
    residual: "sequential",
    residualFactor: 1,
    attentionNorms: { pre: norm, post: null },
    attention: {
      heads,
      kvHeads,
      headDim,
      scale: headDim ** -0.5,
      window: null,
      rope: { dims: headDim, theta: 10_000, scaling: { kind: "none" } },
      qNorm: null,
      kNorm: null,
      q: linear(hidden, hidden),
      k: linear(kvHeads * headDim, hidden),
      v: linear(kvHeads * headDim, hidden),
      o: linear(hidden, hidden),
    },
    mlpNorms: { pre: norm, post: null },
    mlp: { activation: "silu", gate: linear(ffn, hidden), up: linear(ffn, hidden), down: linear(hidden, ffn) },
  };
}

/** A Llama-like spec; `ffn` has one width a block. */
export function exampleSpec(options: { ffn: number[]; tied?: boolean; hidden?: number; vocab?: number }): DecoderSpec {
  const hidden = options.hidden ?? 64;
  return {
    family: "llama",
    vocabSize: options.vocab ?? 512,
    hiddenSize: hidden,
    embeddingScale: 1,
    maxPositions: 8192,
    tied: options.tied ?? true,
    headBias: false,
    logitFactor: 1,
    blocks: options.ffn.map((ffn) => block(hidden, ffn, 4, 2)),
    finalNorm: { kind: "rms", size: hidden, eps: 1e-5 },
    bosToken: null,
    eosTokens: [0],
  };
}

/** The shapes of SmolLM2-135M: 30 blocks, 211 matrices. */
export function smolSpec(): DecoderSpec {
  const spec = exampleSpec({ ffn: Array.from({ length: 30 }, () => 1536), hidden: 576, vocab: 49_152 });
  return { ...spec, blocks: spec.blocks.map(() => block(576, 1536, 9, 3)) };
}

/** Scores that rank blocks only. */
export function importanceScores(importance: number[]): Scores {
  return { ...SCORES, scorer: "lsaq", importance, losses: null };
}

/** Scores that predict losses. */
export function lossScores(losses: NonNullable<Scores["losses"]>): Scores {
  return { ...SCORES, scorer: "kl", importance: null, losses };
}

const SCORES: Scores = {
  formatVersion: 1,
  scorer: "",
  options: {},
  checkpointId: "checkpoint",
  calibrationId: "calibration",
  tokens: 1,
  importance: null,
  losses: null,
};

/** A recipe's plan part with the defaults filled in. */
export function planSettings(settings: Record<string, unknown> = {}): { plan: PlanSettings } {
  return { plan: PlanSettings.parse(settings) };
}
