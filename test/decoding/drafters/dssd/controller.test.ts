import { describe, expect, it } from "vitest";
import {
  adaptiveController,
  type DraftPlan,
  fixedController,
  type RoundPlan,
} from "../../../../src/decoding/drafters/dssd/controller.ts";
import { Random } from "../../../../src/tensor/random.ts";

/** What a round of a plan costs and gives on a simulated machine. */
type Machine = (plan: DraftPlan, round: number) => { ms: number; tokens: number; drafted: number; accepted: number };

const PLAIN_MS = 10;
/** One exit at five levels. */
const THRESHOLDS = Array.from({ length: 5 }, () => [1]);

/**
 * Time of so many tokens under the controller, over that of plain decoding, as the clock says and without what the
 * machine adds (`noise` multiplies each round's time); and the plans of the last rounds.
 */
function simulate(
  machine: Machine,
  tokens: number,
  start: DraftPlan = START,
  noise = () => 1,
  thresholds: (number | null)[][] = THRESHOLDS,
) {
  let clock = 0;
  const controller = adaptiveController({ start, thresholds, now: () => clock });
  const plans: RoundPlan[] = [];
  let given = 0;
  let work = 0;
  let round = 0;
  while (given < tokens) {
    const { plan, end } = controller.begin();
    const { ms, ...result } = plan === null ? plainRound() : machine(plan, round);
    clock += ms * noise();
    work += ms;
    end(result);
    given += result.tokens;
    plans.push(plan);
    round++;
  }
  return { ratio: clock / (given * PLAIN_MS), work: work / (given * PLAIN_MS), plans, late: plans.slice(-100) };
}

const START: DraftPlan = { level: 2, firstExit: 0, draftLimit: 8 };

const THREE_LEVELS = [
  [1, null],
  [1, 1],
  [null, 1],
];

const plainRound = () => ({ ms: PLAIN_MS, tokens: 1, drafted: 0, accepted: 0 });

/**
 * Drafts cost `draftMs` each, a pass over all `PLAIN_MS`, and a share of the drafts that falls with looser levels is
 * taken.
 */
function draftingMachine(draftMs: number, acceptance: (level: number) => number): Machine {
  const random = new Random(11);
  return ({ level, draftLimit }) => {
    let accepted = 0;
    while (accepted < draftLimit && random.next() < acceptance(level)) accepted++;
    return { ms: draftLimit * draftMs + PLAIN_MS, tokens: accepted + 1, drafted: draftLimit, accepted };
  };
}

describe("the adaptive controller", () => {
  it.each([64, 256, 2000])("loses a few percent at most where drafts never pay, over %d tokens", (tokens) => {
    const { ratio, plans } = simulate(
      draftingMachine(4, () => 0),
      tokens,
    );
    expect(ratio).toBeLessThan(1.04 + 20 / tokens);
    expect(plans.some((plan) => plan !== null)).toBe(true);
  });

  it("probes seldom, and again and again", () => {
    const { plans } = simulate(
      draftingMachine(4, () => 0),
      4000,
    );
    const drafting = plans.flatMap((plan, i) => (plan === null ? [] : [i]));
    expect(drafting.length / plans.length).toBeLessThan(0.02);
    expect(drafting.at(-1)).toBeGreaterThan(plans.length / 2);
  });

  it("drafts where it pays", () => {
    const { ratio, late } = simulate(
      draftingMachine(1, () => 0.9),
      2000,
    );
    expect(ratio).toBeLessThan(0.5);
    expect(late.filter((plan) => plan === null).length).toBeLessThan(10);
  });

  it("moves to stricter levels where looser ones are refused, and to fewer drafts where they are wasted", () => {
    const strict = simulate(
      draftingMachine(2.5, (level) => [0.1, 0.2, 0.4, 0.8, 0.95][level]),
      6000,
    );
    const levels = strict.late.flatMap((plan) => (plan === null ? [] : [plan.level]));
    expect(levels.filter((level) => level >= 3).length).toBeGreaterThan(0.6 * levels.length);
    expect(strict.ratio).toBeLessThan(0.95);
    const short = simulate(
      draftingMachine(2, () => 0.5),
      6000,
      { ...START, draftLimit: 16 },
    );
    const limits = short.late.flatMap((plan) => (plan === null ? [] : [plan.draftLimit]));
    expect(Math.max(0, ...limits)).toBeLessThan(16);
    expect(short.ratio).toBeLessThan(1.04);
  });

  it("leaves out an exit that costs more than it gives, and never all", () => {
    const random = new Random(3);
    // Asking the first exit costs a third of a token; the second is as often right without it, and level 0 has no
    // other.
    const machine: Machine = ({ level, firstExit }) => {
      expect(THREE_LEVELS[level].slice(firstExit).some((threshold) => threshold !== null)).toBe(true);
      const accepted = random.next() < 0.8 ? 1 : 0;
      return { ms: 13 + (firstExit === 0 ? 3 : 0), tokens: accepted + 1, drafted: 1, accepted };
    };
    const start = { level: 1, firstExit: 0, draftLimit: 1 };
    const { late } = simulate(machine, 6000, start, undefined, THREE_LEVELS);
    const from = late.flatMap((plan) => (plan === null ? [] : [plan.firstExit]));
    expect(from.filter((first) => first === 1).length).toBeGreaterThan(0.8 * late.length);
  });

  it("goes on drafting where the machine stood still in a round", () => {
    const steady = draftingMachine(1, () => 0.9);
    const stalling: Machine = (plan, round) => {
      const result = steady(plan, round);
      return round % 40 === 20 ? { ...result, ms: result.ms + 1000 } : result;
    };
    const { plans } = simulate(stalling, 2000);
    const drafting = plans.slice(20).filter((plan) => plan !== null).length;
    expect(drafting / (plans.length - 20)).toBeGreaterThan(0.7);
  });

  it("does not take to drafting that never pays, however uneven the machine is", () => {
    const random = new Random(5);
    // Now and then it stands still.
    const noise = () => Math.exp(0.3 * random.nextNormal()) * (random.next() < 0.04 ? 8 : 1);
    const works = Array.from({ length: 12 }, () => {
      // All drafts of a round are taken, or none.
      const machine: Machine = ({ draftLimit: drafted }) => {
        const accepted = random.next() < 0.5 ? drafted : 0;
        return { ms: drafted * 6.8 + PLAIN_MS, tokens: accepted + 1, drafted, accepted };
      };
      return simulate(machine, 1000, undefined, noise).work;
    });
    expect(works.reduce((sum, work) => sum + work, 0) / works.length).toBeLessThan(1.05);
  });

  it("falls back to plain decoding when what paid does not any more, and comes back", () => {
    const good = draftingMachine(1, () => 0.9);
    const bad = draftingMachine(4, () => 0);
    const turning: Machine = (plan, round) => (round < 300 || round > 2500 ? good : bad)(plan, round);
    const { plans } = simulate(turning, 12_000);
    const drafting = (from: number, to: number) =>
      plans.slice(from, to).filter((plan) => plan !== null).length / (to - from);
    expect(drafting(100, 300)).toBeGreaterThan(0.8);
    expect(drafting(400, 2400)).toBeLessThan(0.05);
    expect(drafting(plans.length - 200, plans.length)).toBeGreaterThan(0.8);
  });
});

it("a fixed controller keeps its plan", () => {
  const controller = fixedController({ ...START, draftLimit: 3 });
  controller.begin().end({ tokens: 1, drafted: 3, accepted: 0 });
  expect(controller.begin().plan).toEqual({ ...START, draftLimit: 3 });
});
