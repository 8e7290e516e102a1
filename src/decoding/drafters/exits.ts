import { UserError } from "../../errors.ts";
import { checkExitSet, type ExitSet, exitSetOf, levelFor } from "../exits/exit-set.ts";
import type { OpenModel } from "../open-model.ts";
import type { Session } from "../session.ts";
import { type DecodeBase, type ModelNeed, optionalNumber } from "./drafter.ts";

/** What drafters with early exits have in common. */
export interface ExitOptions extends DecodeBase {
  readonly exits: ExitSet;
  /** Wanted agreement with the full model: the lowest level calibrated for at least that. */
  readonly epsilon: number;
}

/** Exits, and the index of the level whose thresholds hold. */
export interface ExitLevel {
  readonly exits: ExitSet;
  readonly level: number;
}

/** The need of early exits. */
export const EXITS: ModelNeed = {
  isThere: async (model) => (await model.loadExits()) !== null,
};

/** What may be asked for. */
export const EPSILON_ASKED = optionalNumber(
  "Agreement with the full model that exits are to have; default: 0.9 for early-exit, for dssd what promises to be fastest",
);

/** The exits of a model, loaded. Throws UserError NO_EXITS where it has none. */
export async function exitsOf(model: OpenModel): Promise<ExitSet> {
  const loaded = await model.loadExits();
  if (loaded) return exitSetOf(loaded.table, loaded.ids);
  const { kind, folder } = model;
  throw new UserError(
    "NO_EXITS",
    `${folder}: expected early exits, found none`,
    kind === "artifact"
      ? `layerwise exits ${folder} makes them; --decode plain needs none`
      : "a checkpoint has none: compress it, then layerwise exits makes them; --decode plain needs none",
  );
}

/** The most agreement that the exits were calibrated for. */
export function highestEpsilon({ levels }: ExitSet): number {
  return levels[levels.length - 1].epsilon;
}

/**
 * The level that options name. Throws where the exits do not fit the session's model, UserError EPSILON where no level
 * promises as much.
 */
export function checkedLevel({ executor }: Session, { exits, epsilon }: ExitOptions): ExitLevel {
  checkExitSet(exits, executor.spec);
  return { exits, level: levelFor(exits, epsilon) };
}
