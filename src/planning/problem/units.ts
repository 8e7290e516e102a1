import type { CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import type { MatrixToPlan } from "./matrices.ts";
import { matcherOf, namesOf } from "./rules.ts";

/** What gets one codec: a matrix, or several that are tied, and the codecs that all of them may get, widest first. */
export interface Unit {
  readonly matrices: readonly MatrixToPlan[];
  readonly candidates: readonly CodecId[];
}

/**
 * The matrices as units in order, those of a block that one of the globs matches together; one that several match goes
 * with the first. Throws UserError `TIE_MATCHES_NOTHING` for a glob that matches fewer than two matrices, `TIE_RULES`
 * where rules leave no common codec.
 */
export function unitsOf(matrices: readonly MatrixToPlan[], globs: readonly string[]): Unit[] {
  const matchers = globs.map((glob) => matcherOf(glob));
  const groups = new Map<string, MatrixToPlan[]>();
  for (const matrix of matrices) {
    const tie = matrix.block === null ? -1 : matchers.findIndex((matches) => matches(namesOf(matrix)));
    const key = tie < 0 ? matrix.id : `${matrix.block} ${tie}`;
    groups.set(key, [...(groups.get(key) ?? []), matrix]);
  }
  globs.forEach((glob, tie) => {
    const found = [...groups].some(([key, group]) => key.endsWith(` ${tie}`) && group.length > 1);
    if (!found) throw matchesNothing(glob);
  });
  return [...groups.values()].map(unitOf);
}

function unitOf(matrices: readonly MatrixToPlan[]): Unit {
  const all = matrices.map(({ candidates }) => candidates);
  const candidates = all[0].filter((codec) => all.every((one) => one.includes(codec)));
  if (candidates.length > 0) return { matrices, candidates };
  const ids = matrices.map(({ id }) => id).join(", ");
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
