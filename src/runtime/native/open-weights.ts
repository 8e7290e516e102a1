import { isPlaced, type WeightSource } from "../../model/weight-source.ts";
import type { NativeModel } from "../../native/addon.ts";
import type { ExecutorInfo, Residency } from "../executor-info.ts";
import { BlockStore } from "./block-store.ts";
import { type OpenedOutput, openOutput } from "./output-head.ts";
import { openStreamed } from "./streamed-weights.ts";
import type { WeightLoader } from "./weights.ts";

/** How weights are held. */
export interface WeightOptions {
  /** Default `packed`: packed weights in place, dense ones streamed; `resident`: dense ones stay too. */
  readonly residency?: Residency | undefined;
  /** `streamed`: what blocks and output head of an artifact may take, buffers included; default: the least. */
  readonly weightRoomBytes?: number | undefined;
}

interface OpenedWeights extends OpenedOutput, Pick<ExecutorInfo, "residency" | "streamed"> {
  readonly store: BlockStore;
}

/** Gives the engine's model what stays of a source's blocks and output head, and says how the others come there. */
export async function openWeights(
  source: WeightSource,
  loader: WeightLoader,
  model: NativeModel,
  { residency = "packed", weightRoomBytes }: WeightOptions,
): Promise<OpenedWeights> {
  const store = new BlockStore(model, loader, residency);
  if (residency === "streamed" && isPlaced(source)) {
    const opened = await openStreamed(source, loader, model, weightRoomBytes);
    store.holdAll();
    return { ...opened, store, residency };
  }
  const stays = await store.open(source.spec.blocks.length);
  const output = await openOutput(source, loader, model, residency);
  return { ...output, store, residency: stays || residency === "resident" ? residency : "streamed" };
}
