import { describe, expect, it } from "vitest";
import { CODECS, sparseTwin } from "../../src/codecs/index.ts";
import { MASK_KIND_IDS, MASK_KINDS, PRUNING_KIND_IDS } from "../../src/pruning/index.ts";

describe.each(MASK_KIND_IDS)("pruning kind %s", (id) => {
  it("has a sparse twin of every symmetric codec in groups of 32 at every ratio, which keeps that share", () => {
    const { ratios, keptAt } = MASK_KINDS[id];
    expect(ratios.length).toBeGreaterThan(0);
    for (const ratio of ratios) {
      const kept = keptAt(ratio);
      expect(kept.count / kept.of).toBe(1 - ratio);
      for (const dense of ["q3s-g32", "q4s-g32", "q8s-g32"] as const) {
        const twin = sparseTwin(dense, kept);
        if (!twin) throw new Error(`${dense} has none`);
        expect(twin.startsWith(`${dense}-`)).toBe(true);
        expect(CODECS[twin].kept).toEqual(kept);
      }
      for (const other of ["q5s-g32", "q4a-g32", "q4s-g64", "q4s-g32-s8", "f16"] as const) {
        expect(sparseTwin(other, kept)).toBeUndefined();
      }
    }
  });

  it("has a name of its own among all kinds", () => {
    expect(PRUNING_KIND_IDS).not.toContain(id);
  });
});
