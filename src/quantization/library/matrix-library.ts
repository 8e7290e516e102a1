import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { TILE_ROWS } from "../../codecs/codec.ts";
import { CODECS, codecIdOf } from "../../codecs/index.ts";
import { tilesOf } from "../../codecs/tile.ts";
import { UserError } from "../../errors.ts";
import { isFile } from "../../formats/files.ts";
import { makeFolders } from "../../formats/make-folders.ts";
import {
  layoutSafetensors,
  openSafetensors,
  type SafetensorsFile,
  type SafetensorsLayout,
  type TensorPiece,
  writeSafetensors,
} from "../../formats/safetensors/index.ts";
import { blockName, blockOf } from "../../model/matrix-id.ts";
import type { PackedMatrix, WeightSource } from "../../model/weight-source.ts";
import { TOOL_VERSION } from "../../version.ts";
import { sourceUnderPlan } from "./source-under-plan.ts";

/** What all matrices of a library have in common: contents, not paths. */
export interface LibraryKey {
  /** Names the contents of the checkpoint. */
  readonly checkpointId: string;
  /** Names the calibration text whose statistics the quantizer used; null where it uses none. */
  readonly calibrationId: string | null;
  readonly quantizer: string;
  /**
   * Whatever else the bytes depend on: null for statistics of the original model, else the plan whose quantized blocks
   * fed the next ones.
   */
  readonly plan: string | null;
}

/** What is known of a packed matrix besides its bytes. */
const EntryFacts = z.object({
  matrix: z.string(),
  codec: z.string(),
  rows: z.coerce.number().int().positive(),
  cols: z.coerce.number().int().positive(),
  /** Mean squared output error over the calibration inputs (hessian-error.ts). */
  hessianError: z.coerce.number().nonnegative(),
  seconds: z.coerce.number().nonnegative(),
});
export type EntryFacts = z.infer<typeof EntryFacts>;

/** What a file of vectors says of itself. */
const VectorFacts = z.object({ block: z.coerce.number().int().nonnegative() });

/** What one codec has cost. */
export interface CodecCost {
  readonly codec: string;
  readonly matrices: number;
  readonly seconds: number;
  readonly bytes: number;
}

const TENSOR = "packed";
/** In a file's name where a matrix' codec would stand. */
const VECTORS = "vectors";

/**
 * Packed matrices of one checkpoint in a folder: a file for each (matrix, codec), named by the hash of all that its
 * bytes depend on, so that runs may share the folder. Plans are assembled from it without quantizing anything again.
 */
export class MatrixLibrary {
  readonly folder: string;
  private readonly key: LibraryKey;
  private readonly assertSource: () => Promise<void>;
  private readonly facts = new Map<string, EntryFacts>();

  /** `assertSource` throws where the checkpoint changed since it was opened: then nothing is kept. */
  constructor(folder: string, key: LibraryKey, assertSource: () => Promise<void> = async () => undefined) {
    this.folder = folder;
    this.key = key;
    this.assertSource = assertSource;
  }

  /** Whether the matrix is there at that codec. */
  has(id: string, codec: string): Promise<boolean> {
    return isFile(this.fileOf(id, codec));
  }

  /** Keeps a packed matrix; complete or not at all. */
  async put(
    id: string,
    packed: PackedMatrix,
    found: { readonly hessianError: number; readonly seconds: number },
  ): Promise<void> {
    const { codec, rows, cols, bytes } = packed;
    const facts = { matrix: id, codec, rows, cols, ...found };
    const metadata = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value)]));
    const layout = layoutSafetensors([{ name: TENSOR, dtype: "U8", shape: [bytes.length] }], { metadata });
    await this.write(id, codec, layout, [{ name: TENSOR, bytes }]);
    this.facts.set(entryName(id, codec), facts);
  }

  /** Whether vectors of the block are there that replace the model's own. */
  hasVectors(block: number): Promise<boolean> {
    return isFile(this.fileOf(blockName(block), VECTORS));
  }

  /** Keeps vectors of a block (norms, biases) by their ids, in place of the model's own; complete or not at all. */
  async putVectors(block: number, vectors: ReadonlyMap<string, Float32Array>): Promise<void> {
    const tensors = [...vectors].map(([name, { length }]) => ({ name, dtype: "F32" as const, shape: [length] }));
    const parts = [...vectors].map(([name, { buffer, byteOffset, byteLength }]) => ({
      name,
      bytes: new Uint8Array(buffer, byteOffset, byteLength),
    }));
    await this.write(
      blockName(block),
      VECTORS,
      layoutSafetensors(tensors, { metadata: { block: String(block) } }),
      parts,
    );
  }

  /**
   * A vector that `putVectors` has kept; null: the model's own serves. Throws UserError LIBRARY_ENTRY where it is
   * damaged.
   */
  async vectorAt(id: string): Promise<Float32Array | null> {
    const block = blockOf(id);
    if (block === null || !(await this.hasVectors(block))) return null;
    const name = this.fileOf(blockName(block), VECTORS);
    const file = await openSafetensors(name);
    try {
      const facts = VectorFacts.safeParse(Object.fromEntries(file.metadata ?? []));
      if (!facts.success || facts.data.block !== block) throw damaged(name, `vectors of block ${block}`, "others");
      const found = file.tensors.get(id);
      return found ? await file.readF32(id, 0, found.shape[0]) : null;
    } finally {
      await file.close();
    }
  }

  /** The matrix at a codec. Throws UserError LIBRARY_ENTRY where it is missing or damaged. */
  async matrixAt(id: string, codec: string): Promise<PackedMatrix> {
    return this.reading(id, codec, async (file, { rows, cols }) => {
      const known = codecIdOf(codec);
      const bytes = await file.readBytes(TENSOR);
      const expected = CODECS[known].packedBytes(rows, cols);
      if (bytes.length !== expected) throw damaged(file.label, `${expected} bytes`, `${bytes.length}`);
      return { kind: "packed", codec: known, rows, cols, bytes };
    });
  }

  /**
   * Rows [from, to) of the matrix at a codec in f32; reads no other tiles, since an embedding is large. Throws as
   * `matrixAt`.
   */
  async rowsAt(id: string, codec: string, from: number, to: number): Promise<Float32Array> {
    if (from === to) return new Float32Array(0);
    return this.reading(id, codec, async (file, { rows, cols }) => {
      const known = CODECS[codecIdOf(codec)];
      const stride = known.packedBytes(rows, cols) / tilesOf(rows);
      const [firstTile, endTile] = [Math.floor(from / TILE_ROWS), tilesOf(to)];
      const firstRow = firstTile * TILE_ROWS;
      const bytes = await file.readBytes(TENSOR, firstTile * stride, endTile * stride);
      const part = { rows: Math.min(rows, endTile * TILE_ROWS) - firstRow, cols, bytes };
      return known.unpackRows(part, from - firstRow, to - firstRow);
    });
  }

  /** Mean squared output error of the matrix at a codec. Throws as `matrixAt`. */
  async errorOf(id: string, codec: string): Promise<number> {
    return (await this.factsOf(id, codec)).hessianError;
  }

  /** What is known of the matrix at a codec. Throws as `matrixAt`. */
  async factsOf(id: string, codec: string): Promise<EntryFacts> {
    return this.facts.get(entryName(id, codec)) ?? this.reading(id, codec, async (_, facts) => facts);
  }

  /** Seconds and bytes of each codec over the given matrices, in order of first use. */
  async costs(pairs: Iterable<readonly [string, string]>): Promise<CodecCost[]> {
    const costs = new Map<string, CodecCost>();
    for (const [id, codec] of pairs) {
      const { seconds, rows, cols } = await this.factsOf(id, codec);
      const { matrices, ...sum } = costs.get(codec) ?? { matrices: 0, seconds: 0, bytes: 0 };
      const bytes = CODECS[codecIdOf(codec)].packedBytes(rows, cols);
      costs.set(codec, { codec, matrices: matrices + 1, seconds: sum.seconds + seconds, bytes: sum.bytes + bytes });
    }
    return [...costs.values()];
  }

  /**
   * The checkpoint under a choice of codecs (matrix id -> codec), as an artifact of that plan holds it; `source` has
   * its vectors.
   */
  under(source: WeightSource, codecs: ReadonlyMap<string, string>): WeightSource {
    return sourceUnderPlan(source, codecs, this);
  }

  private fileOf(id: string, codec: string): string {
    const { checkpointId, calibrationId, quantizer, plan } = this.key;
    const named = JSON.stringify([TOOL_VERSION, checkpointId, calibrationId, quantizer, plan, id, codec]);
    return path.join(this.folder, `${createHash("sha256").update(named).digest("hex").slice(0, 40)}.safetensors`);
  }

  private async write(id: string, codec: string, layout: SafetensorsLayout, pieces: TensorPiece[]): Promise<void> {
    await this.assertSource();
    await makeFolders(this.folder);
    await writeSafetensors(this.fileOf(id, codec), layout, pieces);
  }

  private async reading<T>(id: string, codec: string, use: (file: SafetensorsFile, facts: EntryFacts) => Promise<T>) {
    const name = this.fileOf(id, codec);
    if (!(await isFile(name))) {
      throw new UserError(
        "LIBRARY_ENTRY",
        `${this.folder}: expected ${id} at ${codec}, found no such file`,
        "build the library again",
      );
    }
    const file = await openSafetensors(name);
    try {
      const parsed = EntryFacts.safeParse(Object.fromEntries(file.metadata ?? []));
      if (!parsed.success || parsed.data.matrix !== id || parsed.data.codec !== codec) {
        throw damaged(name, `the facts of ${id} at ${codec}`, "others");
      }
      this.facts.set(entryName(id, codec), parsed.data);
      return await use(file, parsed.data);
    } finally {
      await file.close();
    }
  }
}

const entryName = (id: string, codec: string): string => `${codec} ${id}`;

function damaged(file: string, expected: string, found: string): UserError {
  return new UserError(
    "LIBRARY_ENTRY",
    `${file}: expected ${expected}, found ${found}`,
    "remove the file, and it is made again",
  );
}
