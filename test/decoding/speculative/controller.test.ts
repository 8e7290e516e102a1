import { describe, expect, it } from "vitest";
import { adaptiveController, fixedController, type RoundPlan } from "../../../src/decoding/speculative/controller.ts";
import { Random } from "../../../src/tensor/random.ts";

/** What a round of a plan costs and gives on a simulated machine. */
type Machine = (plan: RoundPlan, round: number) => { ms: number; tokens: number; drafted: number; accepted: number };

const PLAIN_MS = 10;
const LEVELS = 5;

/**
 * Time of so many tokens under the controller, over that of plain decoding, as the clock says and without what the machine adds (`noise`
 * multiplies each round's time); and the plans of the last rounds.
 */
function simulate(machine: Machine, tokens: number, start = { level: 2, draftLimit: 8 }, noise = () => 1) {
  let clock = 0;
  const controller = adaptiveController({ start, levels: LEVELS, now: () => clock });
  const plans: RoundPlan[] = [];
  let given = 0;
  let work = 0;
  let round = 0;
  while (given < tokens) {
    const { plan, end } = controller.begin();
    const { ms, ...result } = plan.level === null ? plainRound() : machine(plan, round);
    clock += ms * noise();
    work += ms;
    end(result);
    given += result.tokens;
    plans.push(plan);
    round++;
  }
  return { ratio: clock / (given * PLAIN_MS), work: work / (given * PLAIN_MS), plans, late: plans.slice(-100) };
}

const plainRound = () => ({ ms: PLAIN_MS, tokens: 1, drafted: 0, accepted: 0 });

/** Drafts cost `draftMs` each, a pass over all `PLAIN_MS`, and a share of the drafts that falls with looser levels is taken. */
function draftingMachine(draftMs: number, acceptance: (level: number) => number): Machine {
  const random = new Random(11);
  return ({ level, draftLimit }) => {
    let accepted = 0;
    while (accepted < draftLimit && random.next() < acceptance(level ?? 0)) accepted++;
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
    expect(plans.some(({ level }) => level !== null)).toBe(true);
  });

  it("probes seldom, and again and again", () => {
    const { plans } = simulate(
      draftingMachine(4, () => 0),
      4000,
    );
    const drafting = plans.flatMap(({ level }, i) => (level === null ? [] : [i]));
    expect(drafting.length / plans.length).toBeLessThan(0.02);
    expect(drafting.at(-1)).toBeGreaterThan(plans.length / 2);
  });

  it("drafts where it pays", () => {
    const { ratio, late } = simulate(
      draftingMachine(1, () => 0.9),
      2000,
    );
    expect(ratio).toBeLessThan(0.5);
    expect(late.filter(({ level }) => level === null).length).toBeLessThan(10);
  });

  it("moves to stricter levels where looser ones are refused, and to fewer drafts where they are wasted", () => {
    const strict = simulate(
      draftingMachine(2.5, (level) => [0.1, 0.2, 0.4, 0.8, 0.95][level]),
      6000,
    );
    const levels = strict.late.flatMap(({ level }) => (level === null ? [] : [level]));
    expect(levels.filter((level) => level >= 3).length).toBeGreaterThan(0.6 * levels.length);
    expect(strict.ratio).toBeLessThan(0.95);
    const short = simulate(
      draftingMachine(2, () => 0.5),
      6000,
      { level: 2, draftLimit: 16 },
    );
    const limits = short.late.flatMap(({ level, draftLimit }) => (level === null ? [] : [draftLimit]));
    expect(Math.max(0, ...limits)).toBeLessThan(16);
    expect(short.ratio).toBeLessThan(1.04);
  });

  it("goes on drafting where the machine stood still in a round", () => {
    const steady = draftingMachine(1, () => 0.9);
    const stalling: Machine = (plan, round) => {
      const result = steady(plan, round);
      return round % 40 === 20 ? { ...result, ms: result.ms + 1000 } : result;
    };
    const { plans } = simulate(stalling, 2000);
    const drafting = plans.slice(20).filter(({ level }) => level !== null).length;
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
      plans.slice(from, to).filter(({ level }) => level !== null).length / (to - from);
    expect(drafting(100, 300)).toBeGreaterThan(0.8);
    expect(drafting(400, 2400)).toBeLessThan(0.05);
    expect(drafting(plans.length - 200, plans.length)).toBeGreaterThan(0.8);
  });
});

it("a fixed controller keeps its plan", () => {
  const controller = fixedController({ level: 1, draftLimit: 3 });
  controller.begin().end({ tokens: 1, drafted: 3, accepted: 0 });
  expect(controller.begin().plan).toEqual({ level: 1, draftLimit: 3 });
});
