import type { NativeModel } from "../../native/addon.ts";
import type { Residency } from "../executor-info.ts";
import { Arena } from "./arena.ts";
import { EngineTurns } from "./engine-turns.ts";
import type { LoadedBlock, WeightLoader } from "./weights.ts";

/**
 * The blocks' weights in the engine's model: all of them, or those that came packed and the one in use. Whoever
 * computes with them takes a turn, so that no weights are let go meanwhile.
 */
export class BlockStore {
  readonly turns = new EngineTurns();
  private readonly model: NativeModel;
  private readonly loader: WeightLoader;
  private readonly residency: Residency;
  private readonly arena = new Arena();
  /** Blocks that stay. */
  private readonly kept = new Set<number>();
  private keepsAll = false;
  /** The block that stays until another is needed. */
  private passing: number | null = null;

  constructor(model: NativeModel, loader: WeightLoader, residency: Residency) {
    this.model = model;
    this.loader = loader;
    this.residency = residency;
  }

  /** The model has all blocks already, and sees itself to those that do not stay. */
  holdAll(): void {
    this.keepsAll = true;
  }

  /** Loads the blocks that stay, up to the first that does not; true where all of them do. */
  async open(blocks: number): Promise<boolean> {
    if (this.residency === "streamed") return false;
    for (let block = 0; block < blocks; block++) {
      await this.load(block);
      if (!this.kept.has(block)) return false;
    }
    this.keepsAll = true;
    return true;
  }

  /** How far the blocks from `from` on, at most to `to`, can run in one turn: one block where not all of them stay. */
  partEnd(from: number, to: number): number {
    return this.keepsAll ? to : Math.min(to, from + 1);
  }

  /** Brings the weights of a block into the model, within a turn; null where they are there. */
  need(block: number): Promise<void> | null {
    return this.keepsAll || this.kept.has(block) || this.passing === block ? null : this.load(block);
  }

  private async load(block: number): Promise<void> {
    const stays = this.residency === "resident";
    if (!stays) this.letGo();
    // What came packed stays where residency says so, and must not lie in memory that the next block takes.
    const packedArena = this.residency === "streamed" ? this.arena : null;
    const loaded = await this.loader.block(block, stays ? null : this.arena, packedArena);
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
