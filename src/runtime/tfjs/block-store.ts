import type { WeightSource } from "../../model/weight-source.ts";
import type { Residency } from "../executor-info.ts";
import type { BlockWeights } from "./block-weights.ts";
import { type LoadedBlock, loadBlock } from "./load-weights.ts";

/** The blocks' weights in memory: all of them, or the one in use. */
export class BlockStore {
  private readonly source: WeightSource;
  private readonly residency: Residency;
  /** Blocks that stay. */
  private readonly kept = new Map<number, LoadedBlock>();
  /** The block that stays until another is needed. */
  private passing: { readonly block: number; readonly loaded: LoadedBlock } | null = null;
  private queue: Promise<unknown> = Promise.resolve();

  constructor(source: WeightSource, residency: Residency) {
    this.source = source;
    this.residency = residency;
  }

  /**
   * Calls `work` with a block's weights, reading them first where they are not in memory. Calls wait for one another,
   * so that no weights are let go while another call uses them; `work` must not keep them.
   */
  use<T>(block: number, work: (weights: BlockWeights) => T): Promise<T> {
    const result = this.queue.then(async () => work((await this.load(block)).weights));
    this.queue = result.catch(() => undefined);
    return result;
  }

  /** Reads every block now, where all of them stay anyway, so that the first pass does not wait for it. */
  async loadAll(): Promise<void> {
    for (let block = 0; block < this.source.spec.blocks.length; block++) await this.load(block);
  }

  /** True where every matrix of the block is packed and `residency` leaves it so. */
  async isPacked(block: number): Promise<boolean> {
    return (await this.load(block)).packed;
  }

  dispose(): void {
    for (const loaded of this.kept.values()) loaded.tensors.dispose();
    this.kept.clear();
    this.passing?.loaded.tensors.dispose();
    this.passing = null;
  }

  private async load(block: number): Promise<LoadedBlock> {
    const known = this.kept.get(block) ?? (this.passing?.block === block ? this.passing.loaded : null);
    if (known) return known;
    const stays = this.residency === "resident";
    if (!stays) this.letGo();
    const loaded = await loadBlock(this.source, block, stays);
    if (stays || (this.residency === "packed" && loaded.packed)) this.kept.set(block, loaded);
    else this.passing = { block, loaded };
    return loaded;
  }

  private letGo(): void {
    this.passing?.loaded.tensors.dispose();
    this.passing = null;
  }
}
