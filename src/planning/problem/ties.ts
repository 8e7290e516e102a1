import type { CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import { matcherOf, namesOf } from "./rules.ts";
import type { Unit } from "./units.ts";

/** Matrices that share one codec, and the codecs that all of them may get, widest first. */
export interface TiedUnits {
  readonly units: readonly Unit[];
  readonly candidates: readonly CodecId[];
}

/**
 * The units in order, those of a block that one of the globs matches together; a unit that several match goes with the first. Throws
 * UserError `TIE_MATCHES_NOTHING` for a glob that matches fewer than two matrices, `TIE_RULES` where rules leave no common codec.
 */
export function tieUnits(units: readonly Unit[], globs: readonly string[]): TiedUnits[] {
  const matchers = globs.map((glob) => matcherOf(glob));
  const groups = new Map<string, Unit[]>();
  for (const unit of units) {
    const tie = unit.block === null ? -1 : matchers.findIndex((matches) => matches(namesOf(unit)));
    const key = tie < 0 ? unit.id : `${unit.block} ${tie}`;
    groups.set(key, [...(groups.get(key) ?? []), unit]);
  }
  globs.forEach((glob, tie) => {
    const found = [...groups].some(([key, group]) => key.endsWith(` ${tie}`) && group.length > 1);
    if (!found) throw matchesNothing(glob);
  });
  return [...groups.values()].map(tied);
}

function tied(units: readonly Unit[]): TiedUnits {
  const candidates = units[0].candidates.filter((codec) => units.every((unit) => unit.candidates.includes(codec)));
  if (candidates.length > 0) return { units, candidates };
  const ids = units.map(({ id }) => id).join(", ");
  throw new UserError(
    "TIE_RULES",
    `plan.ties: ${ids}: expected a codec that all of them may get, found none`,
    "give them the same rules, or do not tie them",
  );
}

function matchesNothing(glob: string): UserError {
  return new UserError(
    "TIE_MATCHES_NOTHING",
    `plan.ties: "${glob}": expected a glob that matches two or more matrices of a block, found none`,
    "ties are globs over matrices such as attn.{q,k,v}",
  );
}
