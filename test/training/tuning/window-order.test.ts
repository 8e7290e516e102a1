import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextTurn, type TurnResult, WINDOW_ORDERS, windowsOf } from "../../../src/training/tuning/window-order.ts";

describe("windows", () => {
  it("are all blocks from the first on, once, in order", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(59),
        (blocks, size, from) => {
          fc.pre(from < blocks);
          const windows = windowsOf(blocks, size, from);
          const all = windows.flatMap((one) => Array.from({ length: one.to - one.from }, (_, i) => one.from + i));
          expect(all).toEqual(Array.from({ length: blocks - from }, (_, i) => from + i));
          expect(windows.every((one) => one.to - one.from <= size)).toBe(true);
        },
      ),
    );
    expect(windowsOf(30, "all", 4)).toEqual([{ from: 4, to: 30 }]);
  });
});

describe.each(WINDOW_ORDERS)("turns: %s", (order) => {
  it("are as many steps as were asked for, of every window where they suffice", () => {
    fc.assert(
      fc.property(
        fc.record({
          windows: fc.integer({ min: 1, max: 9 }),
          steps: fc.integer({ min: 1, max: 80 }),
          turn: fc.integer({ min: 1, max: 9 }),
        }),
        fc.array(fc.double({ min: 0, max: 5, noNaN: true }), { minLength: 100, maxLength: 100 }),
        ({ windows, steps, turn }, losses) => {
          const past: TurnResult[] = [];
          for (;;) {
            const next = nextTurn(order, { windows, steps, turn, past });
            if (!next) break;
            expect(next.window).toBeLessThan(windows);
            past.push({ ...next, firstLoss: losses[past.length], lastLoss: losses[past.length + 1] });
          }
          expect(past.reduce((sum, one) => sum + one.steps, 0)).toBe(steps);
          const enough = order === "shallow-to-deep" ? steps >= windows : steps >= windows * turn;
          const tuned = new Set(past.filter((one) => one.steps > 0).map(({ window }) => window));
          if (enough) expect(tuned.size).toBe(windows);
        },
      ),
    );
  });
});

it("by-loss: after a turn each the window whose loss fell most a step", () => {
  const turn = (window: number, fall: number): TurnResult => ({ window, steps: 2, firstLoss: 5, lastLoss: 5 - fall });
  const past = [turn(0, 0.1), turn(1, 0.7), turn(2, 0.4)];
  expect(nextTurn("by-loss", { windows: 3, steps: 20, turn: 2, past })?.window).toBe(1);
  expect(nextTurn("by-loss", { windows: 3, steps: 20, turn: 2, past: [...past, turn(1, 0.2)] })?.window).toBe(2);
});
