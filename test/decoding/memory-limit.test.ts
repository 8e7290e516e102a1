import { describe, expect, test } from "vitest";
import { placeWeights, type RunMemory } from "../../src/decoding/memory-limit.ts";

const MIB = 2 ** 20;
const memory: RunMemory = {
  besideBytes: 100 * MIB,
  weightBytes: 80 * MIB,
  leastWeightBytes: 4 * MIB,
  openingBytes: 90 * MIB,
};

describe("where weights go under a memory limit", () => {
  test("is mapped without one, or as asked", () => {
    expect(placeWeights(memory, undefined, undefined)).toEqual({ place: "mapped", roomBytes: undefined });
    expect(placeWeights(memory, "streamed", undefined)).toEqual({ place: "streamed", roomBytes: undefined });
  });

  test("is mapped where all fits, else streamed into what is left", () => {
    expect(placeWeights(memory, undefined, 180 * MIB)).toEqual({ place: "mapped", roomBytes: 80 * MIB });
    expect(placeWeights(memory, undefined, 180 * MIB - 1)).toEqual({ place: "streamed", roomBytes: 80 * MIB - 1 });
    expect(placeWeights(memory, "memory", 180 * MIB)).toMatchObject({ place: "memory" });
  });

  test.each([
    ["streamed", undefined, 104],
    ["streamed", "streamed", 104],
    ["mapped", "mapped", 180],
    ["memory", "memory", 180],
  ] as const)("is refused in one line below the least for weights %s", (place, asked, least) => {
    expect(placeWeights(memory, asked, least * MIB)).toMatchObject({ place });
    expect(() => placeWeights(memory, asked, least * MIB - 1)).toThrow(
      expect.objectContaining({
        code: "MEMORY_LIMIT",
        message: expect.stringMatching(
          new RegExp(`^memory limit: expected at least ${least} MiB .* weights ${place} `),
        ),
      }),
    );
  });

  test("is never less than what opening takes", () => {
    const small = { ...memory, openingBytes: 150 * MIB };
    expect(() => placeWeights(small, undefined, 149 * MIB)).toThrow("expected at least 150 MiB");
    expect(placeWeights(small, undefined, 150 * MIB).place).toBe("streamed");
  });
});
