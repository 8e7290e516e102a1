import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { isFile, parseJsonBytes, parseWith } from "../formats/files.ts";
import { makeFolders } from "../formats/make-folders.ts";
import {
  layoutSafetensors,
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "../formats/safetensors/index.ts";
import { idOf, partsOf } from "../model/matrix-id.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { BlockCut } from "./cut.ts";
import type { PrunedBlock } from "./kind.ts";

/** What a file says of itself beside its matrices, which are tensors under their ids in the model. */
const BlockFacts = z.object({ block: z.coerce.number().int().nonnegative(), cut: z.string() });

/**
 * The blocks of one pruned model in a folder: a file for each, named by the hash of all that its bytes depend on, so
 * that other prunings may share the folder.
 */
export class PrunedBlocks {
  readonly folder: string;
  private readonly key: string;

  /** `key`: names all that the pruning depends on. */
  constructor(folder: string, key: string) {
    this.folder = folder;
    this.key = key;
  }

  /** Whether the block is there. */
  has(block: number): Promise<boolean> {
    return isFile(this.fileOf(block));
  }

  /** Keeps a block; complete or not at all. */
  async put(block: number, { cut, repaired }: PrunedBlock): Promise<void> {
    const matrices = [...repaired].map(([role, matrix]) => ({ name: idOf(block, role), matrix }));
    const layout = layoutSafetensors(
      matrices.map(({ name, matrix: { rows, cols } }) => ({ name, dtype: "F32", shape: [rows, cols] })),
      { metadata: { block: String(block), cut: JSON.stringify(cut) } },
    );
    await makeFolders(this.folder);
    await writeSafetensors(
      this.fileOf(block),
      layout,
      matrices.map(({ name, matrix: { data } }) => ({
        name,
        bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      })),
    );
  }

  /** What is left of a block that is there. Throws UserError PRUNED_BLOCK where the file is damaged. */
  async factsOf(block: number): Promise<{ readonly cut: BlockCut; readonly repaired: readonly string[] }> {
    return this.reading(block, async ({ label, tensors }, { cut }) => ({
      cut: parseWith(BlockCut, parseJsonBytes(Buffer.from(cut), label), label),
      repaired: [...tensors.keys()],
    }));
  }

  /** A repaired matrix by its id; null: the block has none of the kind, or is not there. Throws as `factsOf`. */
  matrixAt(id: string): Promise<DenseMatrix | null> {
    return this.readingMatrix(id, async (file, rows, cols) => {
      return { kind: "dense", rows, cols, data: await file.readF32(id, 0, rows * cols) };
    });
  }

  /** Rows [from, to) of it, without the others. Null and throws as `matrixAt`. */
  rowsAt(id: string, from: number, to: number): Promise<Float32Array | null> {
    return this.readingMatrix(id, (file, _, cols) => file.readF32(id, from * cols, to * cols));
  }

  private fileOf(block: number): string {
    const named = createHash("sha256")
      .update(JSON.stringify([this.key, block]))
      .digest("hex");
    return path.join(this.folder, `${named.slice(0, 40)}.safetensors`);
  }

  private async readingMatrix<T>(
    id: string,
    use: (file: SafetensorsFile, rows: number, cols: number) => Promise<T>,
  ): Promise<T | null> {
    const block = partsOf(id)?.block;
    if (block === undefined || !(await this.has(block))) return null;
    return this.reading(block, async (file) => {
      const [rows, cols] = file.tensors.get(id)?.shape ?? [];
      return rows === undefined ? null : use(file, rows, cols);
    });
  }

  private async reading<T>(
    block: number,
    use: (file: SafetensorsFile, facts: z.infer<typeof BlockFacts>) => Promise<T>,
  ) {
    const name = this.fileOf(block);
    const file = await openSafetensors(name);
    try {
      const facts = BlockFacts.safeParse(Object.fromEntries(file.metadata ?? []));
      if (facts.success && facts.data.block === block) return await use(file, facts.data);
      throw new UserError(
        "PRUNED_BLOCK",
        `${name}: expected pruned block ${block}, found another file`,
        "remove the file, and it is made again",
      );
    } finally {
      await file.close();
    }
  }
}
