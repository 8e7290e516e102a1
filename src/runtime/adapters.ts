import { checkAdapter, type LowRankPart, sumParts } from "../model/low-rank.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { Named } from "./named.ts";

/** Name of what the source itself adds to its matrices. */
const OWN_ADAPTER = "own";

/** Makes parts known to the engine under a name, and says how they are held. */
type Load<Loaded> = (name: string, parts: readonly LowRankPart[]) => Promise<Loaded>;

/**
 * An executor's adapters, by name: those that it is given, and what its source adds to its own matrices, which is part
 * of every pass and of every other adapter.
 */
export class Adapters<Loaded> {
  private readonly source: WeightSource;
  private readonly load: Load<Loaded>;
  private readonly named = new Named<Loaded>("adapter");
  private own: readonly LowRankPart[] = [];

  constructor(source: WeightSource, load: Load<Loaded>) {
    this.source = source;
    this.load = load;
  }

  /** Takes up what the source adds; once, before anything runs. */
  async takeOwn(): Promise<void> {
    const own = (await this.source.readAdditions?.()) ?? [];
    if (own.length === 0) return;
    checkAdapter(this.source.spec, OWN_ADAPTER, own);
    this.named.put(OWN_ADAPTER, await this.load(OWN_ADAPTER, own));
    this.own = own;
  }

  /**
   * Makes an adapter known, and gives back what the one that had the name was held as. Throws where a part does not fit
   * its matrix.
   */
  async put(name: string, parts: readonly LowRankPart[]): Promise<Loaded | undefined> {
    if (name === OWN_ADAPTER) throw new Error(`adapter ${name}: the name is that of the source's own`);
    checkAdapter(this.source.spec, name, parts);
    return this.named.put(name, await this.load(name, sumParts(this.own, parts)));
  }

  /** The adapter of a pass that asks for one, or for none. Throws where no adapter of that name is there. */
  of(asked: string | undefined): { readonly name: string; readonly loaded: Loaded } | null {
    const name = asked ?? (this.own.length > 0 ? OWN_ADAPTER : null);
    return name === null ? null : { name, loaded: this.named.get(name) };
  }

  /** All that are there, which are forgotten. */
  takeAll(): Loaded[] {
    return this.named.takeAll();
  }
}
