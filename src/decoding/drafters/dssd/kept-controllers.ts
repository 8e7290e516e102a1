import type { ExitSet } from "../../exits/exit-set.ts";
import { adaptiveController, type DraftPlan, type RoundController } from "./controller.ts";

/** What a controller was made for, besides the exits: where one differs, what it learned is of no use. */
export interface ControllerUse {
  readonly start: DraftPlan;
  /** Whether tokens are drawn: then fewer drafts are taken. */
  readonly draws: boolean;
}

/**
 * Adaptive controllers that outlive a generation, so that the next one starts from what was learned: the one used last.
 */
export class KeptControllers {
  private exits: ExitSet | null = null;
  private use: ControllerUse | null = null;
  private controller: RoundController | null = null;

  /**
   * The controller kept for the same exits (the same levels and ids, as objects) and use, else a new one, which takes
   * its place.
   */
  of(exits: ExitSet, use: ControllerUse, now: () => number): RoundController {
    if (this.controller && areSame(exits, this.exits) && isSame(use, this.use)) return this.controller;
    this.exits = exits;
    this.use = use;
    this.controller = adaptiveController({
      start: use.start,
      thresholds: exits.levels.map(({ thresholds }) => thresholds),
      now,
    });
    return this.controller;
  }
}

function isSame(a: ControllerUse, b: ControllerUse | null): boolean {
  if (a.draws !== b?.draws) return false;
  const [one, other] = [a.start, b.start];
  return one.level === other.level && one.firstExit === other.firstExit && one.draftLimit === other.draftLimit;
}

/** Sets made of one table share its levels. */
function areSame(a: ExitSet, b: ExitSet | null): boolean {
  return a.levels === b?.levels && a.ids === b.ids;
}
