import path from "node:path";
import type { Plan } from "../artifact/plan.ts";
import { readManifest } from "../artifact/reader.ts";
import { ArtifactWriter } from "../artifact/writer.ts";
import { CODECS, type CodecId } from "../codecs/index.ts";
import { Interrupted, throwIfAborted, UserError } from "../errors.ts";
import { type DecoderSpec, matricesOf } from "../model/decoder-spec.ts";
import { memorySum } from "../model/memory.ts";
import type { PackedTensor } from "../model/packed-layout.ts";
import type { WorkOptions } from "../progress.ts";
import { TOOL_VERSION } from "../version.ts";
import { RandomTiles } from "./random-tiles.ts";
import { type SyntheticShape, syntheticSpec } from "./synthetic-shapes.ts";

/** Longest sequence that a random artifact is planned for. */
const CONTEXT_TOKENS = 8192;
/** Changes when other bytes come of the same options. */
const RECIPE_VERSION = 1;

export interface SyntheticOptions {
  readonly shape: SyntheticShape;
  /** Of every matrix in the blocks. */
  readonly codec: CodecId;
  /** Of embedding and output head. */
  readonly outerCodec: CodecId;
  readonly seed: number;
}

/**
 * The folder of an artifact of a model's shape with random numbers, in `cacheFolder`: made where it is not there yet (a
 * killed run is gone on with), else as it is. For measuring speed: it has no tokenizer and means nothing. `spec`:
 * another one under the shape's name, for tests.
 */
export async function syntheticArtifact(
  cacheFolder: string,
  options: SyntheticOptions,
  work: WorkOptions = {},
  spec: DecoderSpec = syntheticSpec(options.shape),
): Promise<string> {
  const { shape, codec, outerCodec, seed } = options;
  const folder = path.join(cacheFolder, "synthetic", `${shape}-${codec}-${outerCodec}-${seed}`);
  const key = JSON.stringify({ RECIPE_VERSION, ...options });
  if (await isMade(folder, key)) return folder;
  const writer = await ArtifactWriter.open({ folder, key, spec, plan: planOf(spec, options), overwrite: true });
  try {
    await writeRandom(writer, seed, work);
    await writer.finish({ tokenizer: { folder, files: [] }, provenance: provenanceOf(options, key) }, work);
    return folder;
  } catch (error) {
    if (error instanceof Interrupted) await writer.suspend();
    else await writer.abort();
    throw error;
  }
}

async function isMade(folder: string, key: string): Promise<boolean> {
  try {
    return (await readManifest(folder)).provenance.source.id === key;
  } catch (error) {
    // None yet, or one of another version of the format: it is written anew.
    if (error instanceof UserError) return false;
    throw error;
  }
}

async function writeRandom(writer: ArtifactWriter, seed: number, { onProgress, signal }: WorkOptions): Promise<void> {
  const tiles = new RandomTiles(seed);
  const total = writer.layout.segments.flat().filter(({ kind }) => kind === "matrix").length;
  const { pending } = writer;
  let done = total - pending.filter(({ kind }) => kind === "matrix").length;
  for (const tensor of pending) {
    throwIfAborted(signal);
    await writer.write(tensor.name, bytesOf(tensor, tiles));
    if (tensor.kind === "matrix")
      onProgress?.({ stage: "writing random weights", done: ++done, total, detail: tensor.name });
  }
}

function bytesOf(tensor: PackedTensor, tiles: RandomTiles): Uint8Array {
  if (tensor.kind === "matrix") return tiles.matrix(tensor.name, CODECS[tensor.codec], tensor.matrix);
  if (tensor.kind === "padding") throw new Error(`${tensor.name} is written by the writer`);
  // The norms' weights are all that these shapes have besides matrices.
  return new Uint8Array(new Float32Array(tensor.length).fill(1).buffer);
}

function planOf(spec: DecoderSpec, { codec, outerCodec }: SyntheticOptions): Plan {
  const units = matricesOf(spec).map(({ id, block, rows, cols }) => {
    const unitCodec = block === null ? outerCodec : codec;
    return { id, codec: unitCodec, bytes: CODECS[unitCodec].packedBytes(rows, cols), rule: null };
  });
  const codecs = new Map(units.map((unit) => [unit.id, unit.codec]));
  const memory = memorySum(spec, codecs, {
    contextTokens: Math.min(spec.maxPositions, CONTEXT_TOKENS),
    kvType: "f16",
    residency: "packed",
    runtimeBaseBytes: 0,
    budgetCovers: "model",
  });
  return {
    formatVersion: 1,
    allocator: "uniform",
    scorer: null,
    budgetBytes: null,
    units,
    memory,
    predictedLoss: null,
    importanceLowered: null,
  };
}

function provenanceOf({ seed, ...recipe }: SyntheticOptions, key: string) {
  return {
    toolVersion: TOOL_VERSION,
    source: { id: key, files: [] },
    calibrationId: null,
    scorer: null,
    quantizer: "random",
    recipe,
    seed,
  };
}
