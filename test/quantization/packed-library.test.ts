import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { quantizeNearest } from "../../src/quantization/nearest.ts";
import { packWith, quantizedOverlay } from "../../src/quantization/overlay.ts";
import { createPackedLibrary } from "../../src/quantization/packed-library.ts";

describe("packed library", () => {
  it("gives each plan the matrices of its codecs, and quantizes each pair once", async () => {
    const checkpoint = await openCheckpoint("examples/stories260k");
    let quantized = 0;
    const library = createPackedLibrary(checkpoint, (matrix, codec, options) => {
      quantized++;
      return quantizeNearest(matrix, codec, options);
    });
    const id = "blocks.1.mlp.down";
    const narrow = library.under(new Map([[id, "q4s-g32"]]));
    const wide = library.under(new Map([[id, "q8s-g32"]]));
    const overlay = quantizedOverlay(checkpoint, packWith("q4s-g32", quantizeNearest));
    expect(await narrow.readMatrix(id)).toEqual(await overlay.readMatrix(id));
    expect(await narrow.readRows(id, 3, 9)).toEqual(await overlay.readRows(id, 3, 9));
    expect(await wide.readMatrix(id)).toMatchObject({ codec: "q8s-g32" });
    expect(await library.under(new Map([[id, "q8s-g32"]])).readMatrix(id)).toBe(await wide.readMatrix(id));
    expect(quantized).toBe(2);
    await checkpoint.close();
  });
});
