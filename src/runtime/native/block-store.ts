import type { NativeModel } from "../../native/addon.ts";
import type { Residency } from "../executor.ts";
import { Arena } from "./arena.ts";
import { Turns } from "./turns.ts";
import type { LoadedBlock, WeightLoader } from "./weights.ts";

/**
 * The blocks' weights in the engine's model: all of them, or those that came packed and the one in use. Calls take turns, so that
 * no weights are let go while another call computes with them.
 */
export class BlockStore {
  private readonly model: NativeModel;
  private readonly loader: WeightLoader;
  private readonly residency: Residency;
  private readonly turns = new Turns();
  private readonly arena = new Arena();
  /** Blocks that stay. */
  private readonly kept = new Set<number>();
  /** The block that stays until another is needed. */
  private passing: number | null = null;

  constructor(model: NativeModel, loader: WeightLoader, residency: Residency) {
    this.model = model;
    this.loader = loader;
    this.residency = residency;
  }

  /** Loads the blocks that stay, up to the first that does not; true where all of them do. */
  async open(blocks: number): Promise<boolean> {
    if (this.residency === "streamed") return false;
    for (let block = 0; block < blocks; block++) {
      await this.load(block);
      if (!this.kept.has(block)) return false;
    }
    return true;
  }

  /**
   * Calls `work` for parts [from, to) of a range of blocks, in order, each with its blocks' weights in the model: one part where all
   * of them stay, else a part for each. Ends early where `work` gives false.
   */
  async run(from: number, to: number, work: (from: number, to: number) => Promise<boolean>): Promise<boolean> {
    if (this.allKept(from, to)) return this.turns.take(() => work(from, to));
    for (let block = from; block < to; block++) {
      const finished = await this.turns.take(async () => {
        await this.load(block);
        return work(block, block + 1);
      });
      if (!finished) return false;
    }
    return true;
  }

  /** Work with the same engine that needs no block: it takes its turn too. */
  apart<T>(work: () => Promise<T>): Promise<T> {
    return this.turns.take(work);
  }

  private allKept(from: number, to: number): boolean {
    for (let block = from; block < to; block++) if (!this.kept.has(block)) return false;
    return true;
  }

  private async load(block: number): Promise<void> {
    if (this.kept.has(block) || this.passing === block) return;
    const stays = this.residency === "resident";
    if (!stays) this.letGo();
    const loaded = await this.loader.block(block, stays ? null : this.arena);
    this.model.setBlock(block, loaded.weights);
    if (stays || this.staysPacked(loaded)) this.kept.add(block);
    else this.passing = block;
  }

  private staysPacked({ packed }: LoadedBlock): boolean {
    return this.residency === "packed" && packed;
  }

  private letGo(): void {
    if (this.passing !== null) this.model.clearBlock(this.passing);
    this.passing = null;
    this.arena.reset();
  }
}
