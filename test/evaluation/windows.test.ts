import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countTargets, cutWindows, separateWindows } from "../../src/evaluation/windows.ts";

const text = (tokens: number) => Int32Array.from({ length: tokens }, (_, i) => 1000 + i);

/** Text positions that are targets, window by window. */
function targetPositions(tokens: number, options: Parameters<typeof cutWindows>[1]): number[][] {
  const { windows, strideTokens } = cutWindows(text(tokens), options);
  return windows.map(({ ids, firstTarget }, i) =>
    Array.from(ids.keys())
      .filter((t) => t >= firstTarget)
      .map((t) => i * strideTokens + t),
  );
}

describe("cutWindows", () => {
  it("cuts fixed windows and leaves the rest", () => {
    const { windows, textTokens } = cutWindows(text(11), { windowTokens: 4 });
    expect(windows.map((w) => [...w.ids])).toEqual([
      [1000, 1001, 1002, 1003],
      [1004, 1005, 1006, 1007],
    ]);
    expect(textTokens).toBe(11);
    expect(targetPositions(11, { windowTokens: 4 })).toEqual([
      [1, 2, 3],
      [5, 6, 7],
    ]);
  });

  it("scores llama.cpp's second half: 255 targets 257 … 511 of a 512-token window", () => {
    const { windows } = cutWindows(text(40 * 512), { windowTokens: 512, scored: "second-half" });
    expect(windows[0].firstTarget).toBe(257);
    expect(countTargets(windows)).toBe(10_200);
  });

  it("puts BOS in place of the first token and keeps the targets", () => {
    const { windows } = cutWindows(text(8), { windowTokens: 4, beginning: [2] });
    expect(windows.map((w) => [...w.ids])).toEqual([
      [2, 1001, 1002, 1003],
      [2, 1005, 1006, 1007],
    ]);
    expect(countTargets(windows)).toBe(6);
  });

  it("scores none of several ids that a text begins with, which must leave room", () => {
    const { windows } = cutWindows(text(8), { windowTokens: 4, beginning: [2, 3] });
    expect(windows.map(({ ids, firstTarget }) => [...ids.subarray(0, 3), firstTarget])).toEqual([
      [2, 3, 1002, 2],
      [2, 3, 1006, 2],
    ]);
    expect(() => cutWindows(text(8), { windowTokens: 2, beginning: [2, 3] })).toThrow(
      "expected more than the 2 tokens",
    );
  });

  it("scores each token once with a stride below the window", () => {
    const property = fc.property(fc.integer({ min: 2, max: 12 }), fc.integer({ min: 1, max: 12 }), (window, wish) => {
      const stride = Math.min(wish, window);
      const scored = targetPositions(60, { windowTokens: window, strideTokens: stride }).flat();
      expect(new Set(scored).size).toBe(scored.length);
      if (stride < window) expect(scored).toEqual(Array.from({ length: scored.length }, (_, i) => i + 1));
    });
    fc.assert(property);
  });

  it("stops at maxWindows", () => {
    expect(cutWindows(text(100), { windowTokens: 10, maxWindows: 3 }).windows).toHaveLength(3);
  });

  it("refuses a text shorter than one window, and numbers without sense", () => {
    const cut = (options: Parameters<typeof cutWindows>[1]) => () => cutWindows(text(5), options);
    expect(cut({ windowTokens: 6, label: "x.txt" })).toThrow(
      "x.txt: text: expected at least one window of 6 tokens, found 5",
    );
    expect(cut({ windowTokens: 5, maxWindowTokens: 4 })).toThrow("expected at most the model's 4 positions, found 5");
    expect(cut({ windowTokens: 1 })).toThrow("window: expected a whole number >= 2, found 1");
    expect(cut({ windowTokens: 4, strideTokens: 0 })).toThrow("stride");
    expect(cut({ windowTokens: 4, maxWindows: 0 })).toThrow("windows");
    expect(cut({ windowTokens: 4, strideTokens: 1, scored: "second-half" })).toThrow("half a window");
  });
});

describe("separateWindows", () => {
  it("keeps texts of any length and scores all but their first token", () => {
    const { windows, textTokens } = separateWindows([text(3), text(1), text(5)]);
    expect(windows.map((w) => w.ids.length)).toEqual([3, 5]);
    expect(countTargets(windows)).toBe(6);
    expect(textTokens).toBe(9);
  });
});
