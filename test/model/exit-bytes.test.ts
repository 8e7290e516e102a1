import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { matricesOf } from "../../src/model/decoder-spec.ts";
import {
  type ExitShape,
  exitFileLayout,
  exitTensorBytes,
  gatheredRowBytes,
  memoryWithExits,
} from "../../src/model/exit-bytes.ts";
import { memorySum } from "../../src/model/memory.ts";
import { tinySpec } from "../artifact/tiny-source.ts";

const spec = tinySpec(true);
const shapes = fc.record({
  exits: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("adapter" as const), rank: fc.integer({ min: 1, max: 48 }) }),
      fc.constant({ kind: "linear" as const, rank: null }),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  vocabulary: fc.oneof(fc.constant("full" as const), fc.record({ ids: fc.integer({ min: 1, max: 82 }) })),
});

/** The data by the formula of docs/artifact-format.md. */
function dataBytes({ exits, vocabulary }: ExitShape): number {
  const ids = vocabulary === "full" ? 83 : vocabulary.ids;
  const tail = vocabulary === "full" ? 0 : 4 * 49;
  const list = vocabulary === "full" ? 0 : 4 * ids;
  // The tiny model's final norm is a layer norm: weight and bias.
  const own = exits.map(({ rank }) => 2 * 4 * 48 + tail + 2 * 48 * (rank === null ? ids : 2 * rank));
  return list + own.reduce((sum, bytes) => sum + bytes, 0);
}

describe("exitFileLayout", () => {
  it("has the documented bytes, aligned tensors, and each exit's own", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const layout = exitFileLayout(spec, shape);
        expect(layout.totalBytes - layout.dataOffset).toBe(dataBytes(shape));
        expect(layout.dataOffset % 64).toBe(0);
        for (const { dtype, begin } of layout.tensors.values()) expect(begin % (dtype === "F16" ? 2 : 4)).toBe(0);
        for (const i of shape.exits.keys()) {
          const own = [...layout.tensors.values()].filter(({ name }) => name.startsWith(`exits.${i}.`));
          expect(exitTensorBytes(spec, shape, i)).toBe(own.reduce((sum, { begin, end }) => sum + end - begin, 0));
        }
      }),
      { numRuns: 50 },
    );
  });

  it("has no tail and no ids with the full vocabulary, no norm bias with an rms norm", () => {
    const exits = [{ kind: "linear" as const, rank: null }];
    const names = (of: typeof spec, vocabulary: ExitShape["vocabulary"]) => [
      ...exitFileLayout(of, { exits, vocabulary }).tensors.keys(),
    ];
    expect(names(spec, "full")).toEqual(["exits.0.norm", "exits.0.norm_bias", "exits.0.matrix"]);
    const rms = { ...spec, finalNorm: { kind: "rms" as const, size: 48, eps: 1e-5 } };
    expect(names(rms, { ids: 5 })).toEqual(["exits.ids", "exits.0.norm", "exits.0.tail", "exits.0.matrix"]);
  });
});

describe("gatheredRowBytes", () => {
  it("is shared by all adapters, in whole pages, and nothing where no rows are gathered", () => {
    const adapter = { kind: "adapter" as const, rank: 3 };
    const linear = { kind: "linear" as const, rank: null };
    const packed = CODECS.f32.packedBytes(40, 48);
    const pages = Math.ceil(packed / 4096) * 4096;
    expect(packed).not.toBe(pages);
    expect(gatheredRowBytes(spec, { exits: [adapter], vocabulary: { ids: 40 } }, "f32")).toBe(pages);
    expect(gatheredRowBytes(spec, { exits: [linear, adapter, adapter], vocabulary: { ids: 40 } }, "f32")).toBe(pages);
    expect(gatheredRowBytes(spec, { exits: [linear], vocabulary: { ids: 40 } }, "f32")).toBe(0);
    expect(gatheredRowBytes(spec, { exits: [adapter], vocabulary: "full" }, "f32")).toBe(0);
  });
});

describe("memoryWithExits", () => {
  it("gives the sum that is computed at once, and takes exits away again", () => {
    const codecs = new Map(matricesOf(spec).map(({ id }) => [id, "q8s-g32"]));
    const options = { contextTokens: 100, kvType: "f16", residency: "packed", runtimeBaseBytes: 9 } as const;
    for (const budgetCovers of ["model", "process"] as const) {
      const plain = memorySum(spec, codecs, { ...options, budgetCovers });
      fc.assert(
        fc.property(shapes, (exits) => {
          const whole = memorySum(spec, codecs, { ...options, budgetCovers, exits });
          expect(memoryWithExits(plain, spec, exits, "q8s-g32")).toEqual(whole);
          expect(memoryWithExits(whole, spec, null, "q8s-g32")).toEqual(plain);
          const more = exitFileLayout(spec, exits).totalBytes + gatheredRowBytes(spec, exits, "q8s-g32");
          expect(whole.totalBytes - plain.totalBytes).toBe(more);
        }),
        { numRuns: 20 },
      );
    }
  });
});
