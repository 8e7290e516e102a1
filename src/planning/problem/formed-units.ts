import { CODECS, type CodecId } from "../../codecs/index.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { type BlockForms, formedMatrices, formedSpec } from "./block-forms.ts";
import type { Allocation } from "./problem.ts";
import type { Unit } from "./units.ts";

/** The units of a model whose blocks may have several forms. */
export interface FormedUnits {
  /** Embedding and output head. */
  readonly outer: readonly Unit[];
  /** By block and form. */
  readonly blocks: readonly (readonly (readonly Unit[])[])[];
}

/** What each form leaves of the units of its block: matrices with their sizes there; a unit of none is gone. */
export function formedUnits(units: readonly Unit[], spec: DecoderSpec, forms: BlockForms): FormedUnits {
  const matrices = units.flatMap((unit) => unit.matrices);
  const left = formSpecs(spec, forms).map((formed) => {
    const found = new Map(formedMatrices(matrices, formed).map((matrix) => [matrix.id, matrix]));
    return units.map((unit): Unit => ({ ...unit, matrices: unit.matrices.flatMap(({ id }) => found.get(id) ?? []) }));
  });
  const unitsOf = (block: number | null, form: number) =>
    left[form].filter((unit, i) => units[i].matrices[0].block === block && unit.matrices.length > 0);
  return {
    outer: unitsOf(null, 0),
    blocks: forms.map((ofBlock, block) => ofBlock.map((_, form) => unitsOf(block, form))),
  };
}

/** The model with every block in its first form, in its second (where it has one), and so on. */
export function formSpecs(spec: DecoderSpec, forms: BlockForms): DecoderSpec[] {
  const most = Math.max(1, ...forms.map(({ length }) => length));
  return Array.from({ length: most }, (_, form) =>
    formedSpec(
      spec,
      forms,
      forms.map(({ length }) => Math.min(form, length - 1)),
    ),
  );
}

/** Every block in the form, each unit at the candidate that takes the least bytes; of equal ones the first. */
export function smallestAllocation({ outer, blocks }: FormedUnits): Allocation {
  const forms = blocks.map((ofBlock) => {
    const bytes = ofBlock.map((units) => units.reduce((sum, unit) => sum + unitBytes(unit, smallestCodec(unit)), 0));
    return bytes.indexOf(Math.min(...bytes));
  });
  const units = [...outer, ...blocks.flatMap((ofBlock, block) => ofBlock[forms[block]])];
  const assignment = new Map(
    units.flatMap((unit) => unit.matrices.map(({ id }): [string, CodecId] => [id, smallestCodec(unit)])),
  );
  return { forms, assignment };
}

function smallestCodec(unit: Unit): CodecId {
  return unit.candidates.reduce((best, codec) => (unitBytes(unit, codec) < unitBytes(unit, best) ? codec : best));
}

function unitBytes({ matrices }: Unit, codec: CodecId): number {
  return matrices.reduce((sum, { rows, cols }) => sum + CODECS[codec].packedBytes(rows, cols), 0);
}
