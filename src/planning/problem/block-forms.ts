import type { PlannedCut } from "../../artifact/plan.ts";
import { type BlockSpec, type DecoderSpec, matricesOf } from "../../model/decoder-spec.ts";
import type { MatrixToPlan } from "./matrices.ts";

/** A form that a block may have in a plan: whole, or with something left out. */
export interface BlockForm {
  readonly block: BlockSpec;
  /** What is left out; null: nothing. Its loss counts beside those of the block's matrices, in the same unit. */
  readonly cut: PlannedCut | null;
}

/** The forms of each block that a plan chooses from, at least one each. */
export type BlockForms = readonly (readonly BlockForm[])[];

/** Of each block the number of its form. */
export type FormPicks = readonly number[];

/** Every block as it is. */
export function wholeForms({ blocks }: DecoderSpec): BlockForms {
  return blocks.map((block) => [{ block, cut: null }]);
}

/** The model whose blocks have these of their forms. */
export function formedSpec(spec: DecoderSpec, forms: BlockForms, picks: FormPicks): DecoderSpec {
  return { ...spec, blocks: forms.map((ofBlock, block) => ofBlock[picks[block]].block) };
}

/** What is left of each block; null: all of it. */
export function cutsOf(forms: BlockForms, picks: FormPicks): (PlannedCut | null)[] {
  return forms.map((ofBlock, block) => ofBlock[picks[block]].cut);
}

/** The matrices that a model has whose blocks have other forms, with their sizes there. */
export function formedMatrices(matrices: readonly MatrixToPlan[], formed: DecoderSpec): MatrixToPlan[] {
  const known = new Map(matrices.map((matrix) => [matrix.id, matrix]));
  return matricesOf(formed).map((info) => {
    const matrix = known.get(info.id);
    if (!matrix) throw new Error(`${info.id}: no matrix of the whole model`);
    return { ...matrix, ...info, weights: info.rows * info.cols };
  });
}
