import { CODECS } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import { fileError } from "../../formats/files.ts";
import { headMatrixId } from "../../model/decoder-spec.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import {
  type FileSpan,
  type HeadPart,
  leastStreamBytes,
  planStream,
  STREAM_BUFFERS,
  spanOf,
} from "../../model/stream-plan.ts";
import type { MatrixPlace, PackedMatrix, PlacedSource, WeightSource } from "../../model/weight-source.ts";
import type { NativeModel, NativeNorm } from "../../native/addon.ts";
import { alignedBytes } from "../../native/aligned.ts";
import { codecForm } from "../../native/codec-form.ts";
import { loadNative } from "../../native/load.ts";
import type { NativeStreamedPart } from "../../native/streamed-parts.ts";
import { formatBytes } from "../../size-text.ts";
import type { ExecutorInfo } from "../executor-info.ts";
import { OUTPUT_HEAD } from "../heads.ts";
import { headByRows, headInModel, type OpenedOutput } from "./output-head.ts";
import type { WeightLoader } from "./weights.ts";

/** What opening leaves behind: the output head, and how much is held and streamed. */
interface OpenedStream extends OpenedOutput {
  readonly streamed: ExecutorInfo["streamed"];
}

/**
 * Gives the engine's model the blocks and the output head of a source, in so many bytes (default: the least): what the
 * plan holds is read into memory now, what it streams is read by the engine whenever a pass comes to it. Throws
 * UserError MEMORY_LIMIT where the room is less than that takes.
 */
export async function openStreamed(
  source: PlacedSource,
  all: WeightLoader,
  model: NativeModel,
  roomBytes: number = leastStreamBytes(source),
): Promise<OpenedStream> {
  const plan = planStream(source, roomBytes) ?? tooLittle(leastStreamBytes(source), roomBytes);
  const buffers = Array.from({ length: STREAM_BUFFERS }, () => alignedBytes(plan.bufferBytes));
  const parts: NativeStreamedPart[] = [];
  /** The next part's number, whose bytes will lie in its buffer. */
  const stream = ({ file, offset, bytes }: FileSpan) => {
    const part = parts.length;
    parts.push({ file, offset, bytes, buffer: buffers[part % STREAM_BUFFERS] });
    return { part, memory: parts[part].buffer };
  };
  const blocks = plan.blocks.map((span, block) => (span && plan.streamed[block] ? stream(span) : null));
  const headParts = plan.headParts?.map((part) => ({ ...part, ...stream(part) })) ?? null;
  if (parts.length > 0) model.setStream(parts);
  for (const [block, span] of plan.blocks.entries()) {
    const streamed = blocks[block];
    const memory = streamed?.memory ?? (span && read(span));
    const loader = span && memory ? all.over(lyingIn(source, span, memory)) : all;
    const { weights } = await loader.block(block, null, null);
    model.setBlock(block, streamed ? { ...weights, part: streamed.part } : weights);
  }
  const output = await (headParts ? streamedHead(source, model, headParts) : heldHead(source, model));
  return { ...output, streamed: { heldBytes: plan.heldBytes, tokenBytes: plan.tokenBytes } };
}

function tooLittle(leastBytes: number, roomBytes: number): never {
  const message = `weights: expected room for ${formatBytes(leastBytes)}, two buffers, found ${formatBytes(roomBytes)}`;
  throw new UserError("MEMORY_LIMIT", message, "allow more memory");
}

function read({ file, offset, bytes }: FileSpan): Uint8Array {
  const { addon } = loadNative();
  if (!addon) throw new Error("streaming without the native addon");
  try {
    return new Uint8Array(addon.readFile(file, offset, bytes));
  } catch (error) {
    throw fileError(error, file, "read");
  }
}

/** The source with matrices as they lie, or will lie, in memory that the span is read to. */
function lyingIn(source: PlacedSource, span: FileSpan, memory: Uint8Array): WeightSource {
  return {
    spec: source.spec,
    label: source.label,
    async readMatrix(id): Promise<PackedMatrix> {
      const place = source.placeOf(id);
      const { codec, rows, cols } = place;
      return { kind: "packed", codec, rows, cols, bytes: bytesIn(place, span, memory) };
    },
    readRows: (id, from, to) => source.readRows(id, from, to),
    readVector: (id) => source.readVector(id),
    close: async () => {},
  };
}

/** Bytes of a matrix in memory that the span around it is read to. */
function bytesIn({ offset, bytes }: MatrixPlace, span: FileSpan, memory: Uint8Array): Uint8Array {
  const from = offset - span.offset;
  return memory.subarray(from, from + bytes);
}

async function finalNorm(source: WeightSource): Promise<{ norm: NativeNorm; bias: Float32Array | null }> {
  const { kind, eps } = source.spec.finalNorm;
  const { norm, headBias } = await readOutputVectors(source);
  return { norm: { ...norm, kind, eps }, bias: headBias };
}

/** The head in memory; where it is the embedding too, rows of that come from there. */
async function heldHead(source: PlacedSource, model: NativeModel): Promise<OpenedOutput> {
  const { spec } = source;
  const place = source.placeOf(headMatrixId(spec));
  const { codec, rows, cols } = place;
  const span = spanOf([place]);
  const matrix = { ...codecForm(CODECS[codec]), rows, cols, bytes: bytesIn(place, span, read(span)) };
  const { norm, bias } = await finalNorm(source);
  model.setHead(OUTPUT_HEAD, { norm, linear: { matrix, bias } });
  if (spec.tied) model.setEmbedding(matrix);
  return { head: headInModel(spec.vocabSize), embeds: spec.tied };
}

interface PlacedPart extends HeadPart {
  readonly part: number;
  readonly memory: Uint8Array;
}

/** A head for each of its parts, asked one after the other. */
async function streamedHead(
  source: PlacedSource,
  model: NativeModel,
  parts: readonly PlacedPart[],
): Promise<OpenedOutput> {
  const { vocabSize } = source.spec;
  const { codec, cols, offset: begin } = source.placeOf(headMatrixId(source.spec));
  const { norm, bias } = await finalNorm(source);
  const ranges = parts.map(({ rowFrom, rowTo, offset, bytes, memory, part }) => {
    const rows = rowTo - rowFrom;
    const length = CODECS[codec].packedBytes(rows, cols);
    const from = bytes - length;
    if (offset + from < begin) throw new Error("a part of the head that begins before it");
    const matrix = { ...codecForm(CODECS[codec]), rows, cols, bytes: memory.subarray(from, from + length) };
    const name = `${OUTPUT_HEAD}:${part}`;
    model.setHead(name, { norm, linear: { matrix, bias: bias?.slice(rowFrom, rowTo) ?? null }, part });
    return { from: rowFrom, to: rowTo, use: async () => name };
  });
  return { head: headByRows(vocabSize, ranges), embeds: false };
}

/** What a pass failed of where its weights could not be read, as the user is told; null: of something else. */
export function streamError(model: NativeModel, error: unknown): UserError | null {
  const failure = model.streamState()?.failure;
  if (!failure || !(error instanceof Error) || !error.message.startsWith(`${failure.file}: weights could not`)) {
    return null;
  }
  const { file, code, expectedBytes, foundBytes } = failure;
  const hint = "see to the disk, or copy the artifact again, then open it again";
  if (code === "ESHORT") {
    const message = `${file}: expected at least ${expectedBytes} bytes as long as it is open, found ${foundBytes}`;
    return new UserError("FILE_TRUNCATED", message, hint);
  }
  const known = fileError(Object.assign(new Error(code), { code }), file, "read");
  if (known instanceof UserError) return known;
  const bytes = `bytes up to ${expectedBytes}`;
  return new UserError("FILE_READ", `${file}: expected ${bytes}, found that they cannot be read (${code})`, hint);
}
