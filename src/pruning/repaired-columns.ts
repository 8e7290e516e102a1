import type { BlockRole } from "../model/matrix-id.ts";
import { idOf } from "../model/matrix-id.ts";
import { denseMatrix } from "../model/weight-source.ts";
import { prepareInput } from "../quantization/quantizer-input.ts";
import type { BlockCut } from "./cut.ts";
import type { BlockToPrune, PrunedBlock } from "./kind.ts";
import { Removal } from "./removal.ts";

/** The matrix whose input columns stand for a block's slices. */
interface SliceColumns {
  readonly role: BlockRole;
  /** Columns of a slice. */
  readonly size: number;
  cutOf(kept: readonly number[]): BlockCut;
}

/**
 * A block that loses slices one after another, each time the one whose loss, repaired, changes the matrix's output
 * least over the calibration inputs; a stop at each of the counts.
 */
export async function* removeSlices(
  { block, source, maths, statistics }: BlockToPrune,
  { role, size, cutOf }: SliceColumns,
  counts: readonly number[],
): AsyncIterable<PrunedBlock> {
  const id = idOf(block, role);
  const input = await prepareInput(maths, (await statistics()).of(id), "factor", `inputs of ${id}`);
  if (!input) throw new Error(`${id}: expected its inputs prepared, found none`);
  const removal = new Removal(maths, input, denseMatrix(await source.readMatrix(id)), size);
  for (const count of counts) {
    await removal.keepOnly(count);
    yield { cut: cutOf(removal.left), repaired: new Map([[role, removal.matrix()]]) };
  }
}
