import { idOf, isInUnit, partsOf } from "../../model/matrix-id.ts";
import type { Matrix, WeightSource } from "../../model/weight-source.ts";
import type { CodecMatrices } from "../rounded-source.ts";
import type { Variant } from "./variants.ts";

/**
 * A model whose block i is the block of variant i with the variant's unit at its codec; all else is the original. So
 * one executor runs any number of variants, each as a block of its own. The original matrices of one block are kept
 * until another is read.
 */
export function variantSource(
  source: WeightSource,
  variants: readonly Variant[],
  matrices: CodecMatrices,
): WeightSource {
  const held = new Map<string, Promise<Matrix>>();
  let heldBlock: number | undefined;

  function original(id: string, block: number): Promise<Matrix> {
    if (block !== heldBlock) held.clear();
    heldBlock = block;
    const known = held.get(id) ?? source.readMatrix(id);
    held.set(id, known);
    return known;
  }

  /** The original's id of an id of this source, and whose variant it is; null outside of blocks. */
  function locate(id: string): { variant: Variant; id: string } | null {
    const parts = partsOf(id);
    if (!parts) return null;
    const variant = variants[parts.block];
    return { variant, id: idOf(variant.block, parts.part) };
  }

  async function readMatrix(id: string): Promise<Matrix> {
    const found = locate(id);
    if (!found) return source.readMatrix(id);
    const { variant } = found;
    return isInUnit(found.id, variant.unit) ? matrices.at(found.id, variant.codec) : original(found.id, variant.block);
  }

  return {
    spec: { ...source.spec, blocks: variants.map(({ block }) => source.spec.blocks[block]) },
    label: source.label,
    readMatrix,
    readRows: (id, from, to) => {
      const found = locate(id);
      return source.readRows(found ? found.id : id, from, to);
    },
    readVector: (id) => source.readVector(locate(id)?.id ?? id),
    close: async () => held.clear(),
  };
}
