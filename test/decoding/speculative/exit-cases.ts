import type { DecodeOptions } from "../../../src/decoding/drafters/index.ts";
import { type ExitSet, exitHeadName } from "../../../src/decoding/exits/exit-set.ts";
import { type GenerateOptions, type Generation, generate } from "../../../src/decoding/generate.ts";
import { Session } from "../../../src/decoding/session.ts";
import { headMatrixId } from "../../../src/model/decoder-spec.ts";
import type { Tokenizer } from "../../../src/model/tokenizer.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { createExecutor } from "../../../src/runtime/create-executor.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import type { ExecutorKind } from "../../../src/runtime/executors.ts";
import type { ExitNorm } from "../../../src/runtime/heads.ts";
import { Random } from "../../../src/tensor/random.ts";
import { LETTERS } from "../scripted-executor.ts";

/** Levels of the sets made here: no exit, thresholds drawn at random, every token leaves at the first exit. */
export const NEVER = 0.99;
export const SOMETIMES = 0.9;
export const ALWAYS = 0.6;

/** An executor that computes in f32 on one thread: small models gain nothing from more. */
export function openExecutor(source: WeightSource, executor: ExecutorKind): Promise<AnyExecutor> {
  return createExecutor(source, { executor, residency: "resident", activations: "f32", threads: 1 });
}

/** The same model, whose blocks but the first say little: so its exits are right often, not always. */
export function quietSource(source: WeightSource): WeightSource {
  const quieter = (values: Float32Array) => values.map((value) => 0.2 * value);
  const readMatrix = async (id: string) => {
    const matrix = await source.readMatrix(id);
    if (matrix.kind === "packed" || !/^blocks\.[1-9]\d*\.(attn\.o|mlp\.down)$/.test(id)) return matrix;
    return { ...matrix, data: quieter(matrix.data) };
  };
  // A norm behind a matrix takes the matrix' length away again.
  const isPostNorm = (id: string) => /^blocks\.[1-9]\d*\.(attn|mlp)\.postNorm\.weight$/.test(id);
  return {
    spec: source.spec,
    label: source.label,
    readMatrix,
    readRows: (id, from, to) => source.readRows(id, from, to),
    readVector: async (id) => {
      const vector = await source.readVector(id);
      return isPostNorm(id) ? quieter(vector) : vector;
    },
    close: () => source.close(),
  };
}

/**
 * Exits after every block but the last, whose heads are the final norm and the output head (the logit lens), or random.
 */
export async function loadExits(
  executor: AnyExecutor,
  source: WeightSource,
  { heads = "lens", ids = null, seed = 1 }: { heads?: "lens" | "random"; ids?: Int32Array | null; seed?: number } = {},
): Promise<ExitSet> {
  const { spec } = source;
  const matrix = await source.readMatrix(headMatrixId(spec));
  const norm = await finalNorm(source);
  const random = new Random(seed);
  const whole = matrix.kind === "dense" ? matrix.data : await source.readRows(headMatrixId(spec), 0, spec.vocabSize);
  const chosen = ids ?? Int32Array.from({ length: spec.vocabSize }, (_, id) => id);
  const data = new Float32Array(chosen.length * spec.hiddenSize);
  for (const [i, id] of chosen.entries()) {
    data.set(whole.subarray(id * spec.hiddenSize, (id + 1) * spec.hiddenSize), i * spec.hiddenSize);
  }
  const exits = Array.from({ length: spec.blocks.length - 1 }, (_, i) => ({
    blocks: i + 1,
    head: exitHeadName(i + 1, "linear"),
  }));
  for (const { head } of exits) {
    const numbers = heads === "lens" ? data : data.map(() => 0.3 * random.nextNormal());
    const dense = { kind: "dense", rows: chosen.length, cols: spec.hiddenSize, data: numbers } as const;
    await executor.loadHead(head, { norm, adapter: null, matrix: dense, bias: null, tail: null });
  }
  const most = Math.log(chosen.length);
  const levels = [
    { epsilon: ALWAYS, thresholds: exits.map(() => Number.POSITIVE_INFINITY) },
    {
      epsilon: SOMETIMES,
      thresholds: exits.map(() => (random.next() < 0.2 ? null : most * (0.7 + 0.3 * random.next()))),
    },
    { epsilon: NEVER, thresholds: exits.map(() => null) },
  ];
  return { exits, ids, confidence: "entropy", levels };
}

async function finalNorm(source: WeightSource): Promise<ExitNorm> {
  const { finalNorm: spec } = source.spec;
  const bias = spec.kind === "layer" ? await source.readVector("finalNorm.bias") : null;
  return { spec, weight: await source.readVector("finalNorm.weight"), bias };
}

/** A text of `prompt`'s continuation, and the session behind it (the caller closes it). */
export async function continueWith(
  executor: AnyExecutor,
  prompt: ArrayLike<number>,
  decode: DecodeOptions,
  options: Partial<GenerateOptions> & { contextTokens?: number; tokenizer?: Tokenizer } = {},
): Promise<{ generation: Generation; session: Session; depths: number[] }> {
  const contextTokens = options.contextTokens ?? executor.spec.maxPositions;
  const session = new Session(executor, { contextTokens, kvType: "f32" });
  const stream = generate(session, options.tokenizer ?? LETTERS, prompt, {
    maxTokens: 24,
    ignoreEos: true,
    ...options,
    decode,
  });
  const depths: number[] = [];
  for (;;) {
    const step = await stream.next();
    if (step.done) return { generation: step.value, session, depths };
    if (step.value.blocks !== null) depths.push(step.value.blocks);
  }
}

/** DSSD that keeps to one level and draft limit. */
export function dssd(exits: ExitSet, epsilon: number, draftLimit: number): DecodeOptions {
  return { kind: "dssd", exits, epsilon, draftLimit, adapt: false };
}
