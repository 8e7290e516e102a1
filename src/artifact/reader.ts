import path from "node:path";
import { TILE_ROWS } from "../codecs/codec.ts";
import { CODECS, type CodecId, codecIdOf } from "../codecs/index.ts";
import { foreignAt, openFile } from "../formats/byte-source.ts";
import { fileError, readFileBytes, sizeOfFile } from "../formats/files.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { LowRankPart } from "../model/low-rank.ts";
import type { MemorySum } from "../model/memory-sum.ts";
import type { PackedFile } from "../model/packed-layout.ts";
import type { MatrixPlace, PackedMatrix, WeightSource } from "../model/weight-source.ts";
import { loadNative } from "../native/load.ts";
import { readAdapterFile } from "./adapter/file.ts";
import { badArtifact } from "./artifact-error.ts";
import { partLayouts } from "./artifact-layout.ts";
import { checkFileHeader, checkHeader } from "./header-check.ts";
import { MANIFEST_NAME, type Manifest, type TensorRecord } from "./manifest.ts";
import { checkManifest } from "./manifest-check.ts";
import { parseManifest } from "./manifest-text.ts";
import { type FileMapper, mapTensors, readTensors, type TensorFile } from "./tensor-file.ts";

/** Largest manifest that is read: 70,000 tensors have some 25 MiB. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024;

type MatrixRecord = Extract<TensorRecord, { kind: "matrix" }>;

/**
 * An open artifact: manifest in memory, packed bytes read from disk when asked for, or views of the mapped files. Close
 * it.
 */
export class Artifact implements WeightSource {
  readonly spec: DecoderSpec;
  /** The folder. */
  readonly label: string;
  readonly manifest: Manifest;
  /** Names the artifact: its manifest lists the sha256 of everything else. */
  readonly manifestSha256: string;
  /** The memory sum that was planned. */
  readonly memory: MemorySum;
  private readonly tensors: ReadonlyMap<string, TensorRecord>;
  private readonly files: ReadonlyMap<string, TensorFile>;

  constructor(folder: string, manifest: Manifest, files: ReadonlyMap<string, TensorFile>) {
    this.label = folder;
    this.spec = manifest.spec;
    this.manifest = manifest;
    this.manifestSha256 = manifest.manifestSha256;
    this.memory = manifest.plan.memory;
    this.tensors = new Map(manifest.tensors.map((tensor) => [tensor.name, tensor]));
    this.files = files;
  }

  async readMatrix(id: string): Promise<PackedMatrix> {
    const { codec, rows, cols, ...tensor } = this.matrix(id);
    return { kind: "packed", codec, rows, cols, bytes: await this.fileOf(tensor).bytes(tensor, 0, tensor.bytes) };
  }

  placeOf(id: string): MatrixPlace {
    const { codec, rows, cols, file, offset, bytes } = this.matrix(id);
    return { codec, rows, cols, file: path.join(this.label, file), offset, bytes };
  }

  /** Reads the 16-row tiles that the rows lie in, and no more. */
  async readRows(id: string, from: number, to: number): Promise<Float32Array> {
    const { codec, rows, cols, ...tensor } = this.matrix(id);
    if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > rows) {
      throw new RangeError(`${this.label}: ${id}: rows [${from}, ${to}) of ${rows}`);
    }
    const firstTile = Math.floor(from / TILE_ROWS);
    const endTile = Math.max(firstTile, Math.ceil(to / TILE_ROWS));
    const tileBytes = CODECS[codec].packedBytes(TILE_ROWS, cols);
    const bytes = await this.fileOf(tensor).bytes(tensor, firstTile * tileBytes, endTile * tileBytes);
    if (to === from) return new Float32Array(0);
    const part = { rows: Math.min(rows, endTile * TILE_ROWS) - firstTile * TILE_ROWS, cols, bytes };
    return CODECS[codec].unpackRows(part, from - firstTile * TILE_ROWS, to - firstTile * TILE_ROWS);
  }

  async readVector(id: string): Promise<Float32Array> {
    const record = this.tensors.get(id);
    if (record?.kind !== "vector") throw new Error(`${this.label}: the artifact has no vector ${id}`);
    return this.fileOf(record).floats(record, record.length);
  }

  /** What the artifact's adapter adds, read anew at every call; nothing where it has none. */
  async readAdditions(): Promise<readonly LowRankPart[]> {
    const { adapter } = this.manifest;
    return adapter ? readAdapterFile(this.label, this.spec, adapter) : [];
  }

  assertIntact(): void {
    for (const file of this.files.values()) file.assertIntact();
  }

  async close(): Promise<void> {
    await closeAll(this.files);
  }

  private matrix(id: string): Omit<MatrixRecord, "codec"> & { readonly codec: CodecId } {
    const record = this.tensors.get(id);
    if (record?.kind !== "matrix") throw new Error(`${this.label}: the artifact has no matrix ${id}`);
    return { ...record, codec: codecIdOf(record.codec) };
  }

  private fileOf({ file: name }: { file: string }): TensorFile {
    const file = this.files.get(name);
    if (!file) throw new Error(`${this.label}: the artifact has no file ${name}`);
    return file;
  }
}

/** Reads and checks the manifest of a folder. Throws UserError where there is none or it is not one. */
export async function readManifest(folder: string): Promise<Manifest> {
  const file = path.join(folder, MANIFEST_NAME);
  return parseManifest(await readFileBytes(file, MAX_MANIFEST_BYTES), file);
}

/**
 * Opens an artifact and checks all but the contents of its tensors: the manifest's own hash and form, that spec, plan,
 * tensors and files agree, every file's size, and the weights' headers. Throws UserError for whatever is wrong with it.
 * `mapFile`: how weights files are mapped into memory, null to read them; by default the native addon maps them where
 * it loads.
 */
export async function openArtifact(
  folder: string,
  { mapFile = nativeMapper() }: { readonly mapFile?: FileMapper | null } = {},
): Promise<Artifact> {
  const manifest = await readManifest(folder);
  const layout = checkManifest(manifest, path.join(folder, MANIFEST_NAME));
  for (const { name, bytes } of manifest.files) await checkSize(path.join(folder, name), bytes);
  const files = new Map<string, TensorFile>();
  try {
    for (const file of layout.files) {
      files.set(file.name, await openWeights(path.join(folder, file.name), file, mapFile));
    }
    for (const { name, layout: found } of partLayouts(manifest)) {
      if (found) await checkFileHeader(path.join(folder, name), found);
    }
    return new Artifact(folder, manifest, files);
  } catch (error) {
    await closeAll(files);
    throw error;
  }
}

/** Opens a weights file, checks its header, and maps it where that can be done. */
async function openWeights(name: string, file: PackedFile, mapFile: FileMapper | null): Promise<TensorFile> {
  const open = await openFile(name);
  try {
    await checkHeader(open, file.layout);
    if (!mapFile) return readTensors(open);
    const mapping = mapFile(name, open.byteLength);
    await open.close();
    return mapTensors(name, mapping);
  } catch (error) {
    await open.close();
    throw fileError(error, name, "read");
  }
}

/** Maps files where the addon loads. */
export function nativeMapper(): FileMapper | null {
  const { addon } = loadNative();
  if (!addon) return null;
  return (name, bytes) => {
    const buffer = addon.mapFile(name, 0, bytes);
    const whole = new Uint8Array(buffer);
    return { buffer, isTorn: () => addon.isTorn(whole) };
  };
}

/** Reads files into memory of the process, past the system's cache, where the addon loads. */
export function nativeReader(): FileMapper | null {
  const { addon } = loadNative();
  return addon && ((name, bytes) => ({ buffer: addon.readFile(name, 0, bytes), isTorn: () => false }));
}

async function checkSize(file: string, bytes: number): Promise<void> {
  const size = await sizeOfFile(file);
  if (size === bytes) return;
  throw (await foreignAt(file, `${bytes} bytes`)) ?? badArtifact(file, `size: expected ${bytes} bytes, found ${size}`);
}

async function closeAll(files: ReadonlyMap<string, TensorFile>): Promise<void> {
  for (const file of files.values()) await file.close();
}
