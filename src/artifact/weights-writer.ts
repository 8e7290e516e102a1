import { promises as fs } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.ts";
import { partialPath, sizeOfFile } from "../formats/files.ts";
import { SafetensorsWriter } from "../formats/safetensors/writer.ts";
import type { PackedFile, PackedLayout, PackedTensor } from "../model/packed-layout.ts";
import { sha256Of } from "./content-hash.ts";
import { type Journal, readJournal, writeJournal } from "./journal.ts";

/** A tensor and where it belongs. */
interface Slot {
  readonly tensor: PackedTensor;
  readonly segment: number;
  readonly file: PackedFile;
}

function slotsOf(layout: PackedLayout): Slot[] {
  return layout.files.flatMap((file) => {
    const segments = layout.segments.slice(file.segmentFrom, file.segmentTo);
    return segments.flatMap((tensors, i) => tensors.map((tensor) => ({ tensor, segment: file.segmentFrom + i, file })));
  });
}

/**
 * Writes the weights files of a layout in order into a folder, and can go on after the last segment that is on the
 * disk.
 */
export class WeightsWriter {
  private readonly folder: string;
  private readonly key: string;
  private readonly slots: readonly Slot[];
  private readonly hashes: Record<string, string>;
  private next: number;
  private open: SafetensorsWriter | null;

  private constructor(folder: string, key: string, slots: readonly Slot[], start: Start) {
    this.folder = folder;
    this.key = key;
    this.slots = slots;
    this.hashes = { ...start.hashes };
    this.next = start.next;
    this.open = start.open;
  }

  /** Goes on where a run of the same key left off; null where there is nothing of it to go on from. */
  static async resume(folder: string, key: string, layout: PackedLayout): Promise<WeightsWriter | null> {
    const journal = await readJournal(folder, key);
    if (!journal) return null;
    const slots = slotsOf(layout);
    try {
      return new WeightsWriter(folder, key, slots, await reopen(folder, slots, journal));
    } catch (error) {
      if (error instanceof UserError && ["CANNOT_RESUME", "FILE_NOT_FOUND"].includes(error.code)) return null;
      throw error;
    }
  }

  /** Starts in an empty folder. */
  static async start(folder: string, key: string, layout: PackedLayout): Promise<WeightsWriter> {
    return new WeightsWriter(folder, key, slotsOf(layout), { next: 0, hashes: {}, open: null });
  }

  /** Matrices and vectors that are not written yet, in the order in which they must come. */
  get pending(): readonly PackedTensor[] {
    return this.slots.slice(this.next).flatMap(({ tensor }) => (tensor.kind === "padding" ? [] : [tensor]));
  }

  /** sha256 of every tensor written, by name. */
  get tensorHashes(): Readonly<Record<string, string>> {
    return this.hashes;
  }

  /** Writes the next matrix or vector: its stored bytes, or its content alone, which zero bytes complete. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const slot = this.slots[this.next];
    if (slot?.tensor.name !== name) throw new Error(`expected tensor ${slot?.tensor.name ?? "none"}, got ${name}`);
    const { contentBytes, bytes: storedBytes } = slot.tensor;
    if (bytes.length !== contentBytes && bytes.length !== storedBytes) {
      throw new Error(`tensor ${name}: expected ${contentBytes} or ${storedBytes} bytes, got ${bytes.length}`);
    }
    await this.put(slot, bytes);
    while (this.slots[this.next]?.tensor.kind === "padding") await this.put(this.slots[this.next], new Uint8Array(0));
    await this.finishSegment(slot);
  }

  /** Closes the file at hand; what is in the journal can be gone on from. */
  async suspend(): Promise<void> {
    await this.open?.suspend();
    this.open = null;
  }

  private async put({ tensor, file }: Slot, bytes: Uint8Array): Promise<void> {
    this.open ??= await SafetensorsWriter.open(path.join(this.folder, file.name), file.layout);
    const stored = bytes.length === tensor.bytes ? bytes : new Uint8Array(tensor.bytes);
    if (stored !== bytes) stored.set(bytes);
    await this.open.write(tensor.name, stored);
    this.hashes[tensor.name] = sha256Of(stored);
    this.next++;
  }

  /** Once a segment is complete: on the disk first, then in the journal. */
  private async finishSegment({ segment, file }: Slot): Promise<void> {
    const next = this.slots[this.next];
    if (next?.segment === segment) return;
    if (next?.file === file) await this.open?.sync();
    else {
      const complete = this.open;
      this.open = null;
      await complete?.finish();
    }
    await writeJournal(this.folder, { key: this.key, finishedSegments: segment + 1, tensors: this.hashes });
  }
}

/** Where a writer begins. */
interface Start {
  readonly next: number;
  readonly hashes: Readonly<Record<string, string>>;
  readonly open: SafetensorsWriter | null;
}

/**
 * The state after the journal's last segment. UserError CANNOT_RESUME or FILE_NOT_FOUND where the files do not bear it
 * out.
 */
async function reopen(folder: string, slots: readonly Slot[], journal: Journal): Promise<Start> {
  const found = slots.findIndex(({ segment }) => segment >= journal.finishedSegments);
  const next = found < 0 ? slots.length : found;
  const done = slots.slice(0, next);
  const names = done.map(({ tensor }) => tensor.name);
  const hashes = Object.fromEntries(
    names.flatMap((name) => (journal.tensors[name] ? [[name, journal.tensors[name]]] : [])),
  );
  if (Object.keys(hashes).length !== names.length)
    throw new UserError("CANNOT_RESUME", `${folder}: journal is incomplete`);
  const current = slots[next]?.file;
  for (const file of new Set(done.map((slot) => slot.file))) {
    if (file !== current) await checkComplete(path.join(folder, file.name), file.layout.totalBytes);
  }
  const inside = current !== undefined && done.some(({ file }) => file === current);
  const open = inside ? await reopenFile(path.join(folder, current.name), current, slots[next].tensor.name) : null;
  return { next, hashes, open };
}

async function checkComplete(file: string, bytes: number): Promise<void> {
  const size = await sizeOfFile(file);
  if (size !== bytes) throw new UserError("CANNOT_RESUME", `${file}: expected ${bytes} bytes, found ${size}`);
}

/**
 * A run may have been killed after a file got its final name and before the journal said so: it is unfinished again.
 */
async function reopenFile(file: string, { layout }: PackedFile, resumeAt: string): Promise<SafetensorsWriter> {
  await fs.rename(file, partialPath(file)).catch(() => undefined);
  return SafetensorsWriter.open(file, layout, { resumeAt });
}
