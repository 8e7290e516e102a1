import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { adapterFileLayout, memoryWithAdapter } from "../../src/model/adapter-bytes.ts";
import { matricesOf } from "../../src/model/decoder-spec.ts";
import { memorySum } from "../../src/model/memory.ts";
import { tinySpec } from "../artifact/tiny-source.ts";
import { randomParts } from "../support/adapters.ts";

const spec = tinySpec(true);
const parts = randomParts(spec, { rank: 5, has: (block) => block !== 2 });

describe("memoryWithAdapter", () => {
  it("gives the sum that is computed at once, and takes the adapter away again", () => {
    const codecs = new Map(matricesOf(spec).map(({ id }) => [id, "q8s-g32"]));
    const options = { contextTokens: 100, kvType: "f16", runtimeBaseBytes: 9 } as const;
    const exits = { exits: [{ kind: "adapter", rank: 4 }], vocabulary: { ids: 30 } } as const;
    for (const budgetCovers of ["model", "process"] as const) {
      for (const residency of ["packed", "resident"] as const) {
        for (const dtype of ["F16", "F32"] as const) {
          const how = { ...options, budgetCovers, residency };
          const adapter = { dtype, parts };
          const plain = memorySum(spec, codecs, how);
          const whole = memorySum(spec, codecs, { ...how, adapter });
          expect(memoryWithAdapter(plain, spec, adapter)).toEqual(whole);
          expect(memoryWithAdapter(whole, spec, null)).toEqual(plain);
          expect(memoryWithAdapter(memorySum(spec, codecs, { ...how, exits }), spec, null).items).toEqual(
            memorySum(spec, codecs, { ...how, exits }).items,
          );
          // What it takes is the file's header, and its numbers in tiles.
          const codec = CODECS[dtype === "F32" || residency === "resident" ? "f32" : "f16"];
          const tiles = parts.reduce(
            (sum, { rank, a, b }) =>
              sum + codec.packedBytes(rank, a.length / rank) + codec.packedBytes(b.length / rank, rank),
            0,
          );
          const { dataOffset, totalBytes } = adapterFileLayout(spec, adapter);
          expect(whole.totalBytes - plain.totalBytes).toBe(dataOffset + tiles);
          expect(whole.fileBytes - plain.fileBytes).toBe(totalBytes);
        }
      }
    }
  });

  it("is not for matrices that the model has not", () => {
    const adapter = { dtype: "F16" as const, parts: [{ block: 2, role: "mlp.up" as const, rank: 1 }] };
    expect(() => adapterFileLayout(spec, adapter)).toThrow("adapter: blocks.2.mlp.up: the model has no such matrix");
  });
});
