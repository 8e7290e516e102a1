import { CODECS, type CodecId } from "../../codecs/index.ts";
import type { Assignment, Unit } from "../problem/units.ts";

/** Each block's codec carried out: a matrix whose rule forbids it takes the nearest width that it may have. */
export function assignBlocks(units: readonly Unit[], codecOfBlock: readonly CodecId[]): Assignment {
  return new Map(
    units.map((unit) => [
      unit.id,
      unit.block === null ? unit.candidates[0] : nearestCandidate(unit, codecOfBlock[unit.block]),
    ]),
  );
}

/** The codec itself where the unit may have it, else the candidate nearest in bits, the wider of two. */
export function nearestCandidate(unit: Unit, codec: CodecId): CodecId {
  if (unit.candidates.includes(codec)) return codec;
  const gap = (id: CodecId) => Math.abs(CODECS[id].bits - CODECS[codec].bits);
  return unit.candidates.reduce((best, id) => (gap(id) < gap(best) ? id : best));
}
