import { promises as fs } from "node:fs";
import path from "node:path";
import { changedSource } from "../formats/file-mark.ts";
import { partialPath, readFileBytes, writeFileAtomic } from "../formats/files.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { layoutMemory } from "../model/memory.ts";
import { MAX_FILE_BYTES, type PackedLayout, type PackedTensor } from "../model/packed-layout.ts";
import type { WorkOptions } from "../progress.ts";
import { badArtifact } from "./artifact-error.ts";
import { checkTarget, emptyFolder, moveIntoPlace } from "./artifact-folder.ts";
import { codecRecords, planLayout, tensorPlaces } from "./artifact-layout.ts";
import { hashFile, sha256Of } from "./content-hash.ts";
import { JOURNAL_NAME } from "./journal.ts";
import { type FileRecord, FORMAT_VERSION, MANIFEST_NAME, type Provenance, type TensorRecord } from "./manifest.ts";
import { manifestText } from "./manifest-text.ts";
import type { Plan } from "./plan.ts";
import { checkSpec } from "./spec-check.ts";
import { WeightsWriter } from "./weights-writer.ts";

export interface ArtifactWriterOptions {
  /** The artifact's folder: its final name. Until then it is `<folder>.partial`. */
  readonly folder: string;
  /** Names all that the bytes depend on; an unfinished artifact of the same key is gone on with. */
  readonly key: string;
  readonly spec: DecoderSpec;
  readonly plan: Plan;
  /** Replace an artifact of that name. Anything else there is refused either way. */
  readonly overwrite?: boolean | undefined;
  /** Cut the weights files so that none is larger; 2 GiB by default. */
  readonly maxFileBytes?: number | undefined;
}

/** What the manifest says beside the weights. */
export interface ArtifactParts {
  /** Folder, names and contents of the tokenizer's files, which are copied. */
  readonly tokenizer: { readonly folder: string; readonly files: readonly Omit<FileRecord, "bytes">[] };
  readonly provenance: Provenance;
}

/** The finished artifact. */
export interface WrittenArtifact {
  readonly folder: string;
  readonly manifestSha256: string;
  readonly files: readonly FileRecord[];
}

/**
 * Writes an artifact: tensors in the layout's order (`pending`), then `finish`. A killed or suspended run goes on after
 * the last segment that is on the disk, and ends with the same bytes as an undisturbed one. End it with `finish`,
 * `suspend` or `abort`.
 */
export class ArtifactWriter {
  /** The weights files as they will be. */
  readonly layout: PackedLayout;
  private readonly options: ArtifactWriterOptions;
  private readonly partial: string;
  private readonly weights: WeightsWriter;

  private constructor(options: ArtifactWriterOptions, layout: PackedLayout, weights: WeightsWriter) {
    this.options = options;
    this.layout = layout;
    this.partial = partialPath(options.folder);
    this.weights = weights;
  }

  /**
   * Throws UserError OUTPUT_EXISTS where something is in the way, `FILE_*` or `DISK_FULL` where nothing can be written,
   * BAD_ARTIFACT for a spec that contradicts itself.
   */
  static async open(options: ArtifactWriterOptions): Promise<ArtifactWriter> {
    const { folder, spec, plan, key, overwrite = false, maxFileBytes = MAX_FILE_BYTES } = options;
    checkSpec(spec, folder);
    await checkTarget(folder, overwrite);
    const layout = planLayout(spec, plan, maxFileBytes);
    const partial = partialPath(folder);
    const resumed = await WeightsWriter.resume(partial, key, layout);
    if (!resumed) await emptyFolder(partial);
    return new ArtifactWriter(options, layout, resumed ?? (await WeightsWriter.start(partial, key, layout)));
  }

  /** Matrices and vectors that are not written yet, in the order in which they must come. */
  get pending(): readonly PackedTensor[] {
    return this.weights.pending;
  }

  /** Writes the next tensor: a matrix as its codec packed it, a vector's f32 bytes. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.weights.write(name, bytes);
  }

  /** Copies the tokenizer, checks what is on the disk, writes the manifest last and gives the folder its name. */
  async finish(parts: ArtifactParts, { signal }: WorkOptions = {}): Promise<WrittenArtifact> {
    if (this.pending.length > 0) throw new Error(`${this.pending.length} tensors are not written`);
    const weightFiles = await this.hashWeights(signal);
    const others = await this.copyFiles(parts.tokenizer);
    const files = [...weightFiles, ...others];
    const { text, sha256 } = manifestText({
      formatVersion: FORMAT_VERSION,
      spec: this.options.spec,
      plan: this.checkedPlan(),
      codecs: codecRecords(this.layout),
      maxFileBytes: this.options.maxFileBytes ?? MAX_FILE_BYTES,
      files,
      tensors: this.tensorRecords(),
      exits: null,
      provenance: parts.provenance,
    });
    await writeFileAtomic(path.join(this.partial, MANIFEST_NAME), text);
    await fs.rm(path.join(this.partial, JOURNAL_NAME), { force: true });
    await moveIntoPlace(this.partial, this.options.folder, this.options.overwrite ?? false);
    return { folder: this.options.folder, manifestSha256: sha256, files };
  }

  /** Stops and keeps what is written, for a later run of the same key. */
  async suspend(): Promise<void> {
    await this.weights.suspend();
  }

  /** Gives up and removes what is written. Never throws: it runs while another error is on its way. */
  async abort(): Promise<void> {
    await this.weights.suspend().catch(() => undefined);
    await fs.rm(this.partial, { recursive: true, force: true }).catch(() => undefined);
  }

  private tensorRecords(): TensorRecord[] {
    return tensorPlaces(this.layout).map((place) => ({ ...place, sha256: this.weights.tensorHashes[place.name] }));
  }

  /** The plan's memory sum must be that of these very files: predicted bytes that differ are our bug. */
  private checkedPlan(): Plan {
    const { plan, spec } = this.options;
    const { fileBytes } = layoutMemory(spec, this.layout, plan.memory);
    const found = this.layout.files.reduce((sum, { layout }) => sum + layout.totalBytes, 0);
    if (fileBytes !== found || plan.memory.fileBytes !== fileBytes) {
      throw new Error(`plan: ${plan.memory.fileBytes} bytes of weights files predicted, ${found} written`);
    }
    return plan;
  }

  /** Reads the weights files back: bytes that a failing disk changed must not get a manifest that vouches for them. */
  private async hashWeights(signal: AbortSignal | undefined): Promise<FileRecord[]> {
    const places = tensorPlaces(this.layout);
    const records: FileRecord[] = [];
    for (const { name } of this.layout.files) {
      const file = path.join(this.partial, name);
      const { bytes, sha256, parts } = await hashFile(
        file,
        places.filter((place) => place.file === name),
        signal,
      );
      for (const [tensor, found] of parts) {
        if (found !== this.weights.tensorHashes[tensor])
          throw badArtifact(file, `tensor ${tensor}: found other bytes than were written`);
      }
      records.push({ name, bytes, sha256 });
    }
    return records;
  }

  private async copyFiles({ folder, files }: ArtifactParts["tokenizer"]): Promise<FileRecord[]> {
    const records: FileRecord[] = [];
    for (const { name, sha256 } of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const source = path.join(folder, name);
      const bytes = await readFileBytes(source);
      if (sha256Of(bytes) !== sha256) throw changedSource(source);
      await writeFileAtomic(path.join(this.partial, name), bytes);
      records.push({ name, bytes: bytes.length, sha256 });
    }
    return records;
  }
}
