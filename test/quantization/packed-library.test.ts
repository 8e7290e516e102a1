import { describe, expect, it } from "vitest";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import { packWith, quantizedOverlay } from "../../src/quantization/overlay.ts";
import { createPackedLibrary } from "../../src/quantization/packed-library.ts";

describe("packed library", () => {
  it("gives each plan the matrices of its codecs, and quantizes each pair once", async () => {
    const checkpoint = await openCheckpoint("examples/stories260k");
    let quantized = 0;
    const library = createPackedLibrary(plainMaths, checkpoint, {
      ...nearest,
      quantize(...given) {
        quantized++;
        return nearest.quantize(...given);
      },
    });
    const id = "blocks.1.mlp.down";
    const narrow = library.under(new Map([[id, "q4s-g32"]]));
    const wide = library.under(new Map([[id, "q8s-g32"]]));
    const overlay = quantizedOverlay(checkpoint, packWith(plainMaths, "q4s-g32", nearest));
    expect(await narrow.readMatrix(id)).toEqual(await overlay.readMatrix(id));
    expect(await narrow.readRows(id, 3, 9)).toEqual(await overlay.readRows(id, 3, 9));
    expect(await wide.readMatrix(id)).toMatchObject({ codec: "q8s-g32" });
    expect(await library.under(new Map([[id, "q8s-g32"]])).readMatrix(id)).toBe(await wide.readMatrix(id));
    expect(quantized).toBe(2);
    await checkpoint.close();
  });
});
