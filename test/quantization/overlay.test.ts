import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { UserError } from "../../src/errors.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { denseMatrix } from "../../src/model/weight-source.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import { packMatrix, packWith, quantizedOverlay } from "../../src/quantization/overlay.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import { tinySource, tinySpec } from "../artifact/tiny-source.ts";
import { packAs } from "../support/pack-as.ts";

const source = tinySource(tinySpec(true));

describe("quantizedOverlay", () => {
  it("gives matrices as the codec stores them, whole and by rows, and leaves vectors alone", async () => {
    const overlay = quantizedOverlay(source, packWith(plainMaths, "q4s-g32", "nearest"));
    const original = denseMatrix(await source.readMatrix("embedding"));
    const packed = await packMatrix("embedding", original, "q4s-g32", packerOf(plainMaths, nearest));
    expect(await overlay.readMatrix("embedding")).toEqual(packed);
    const values = CODECS["q4s-g32"].unpackRows(packed, 0, packed.rows);
    expect(denseMatrix(packed)).toEqual({ ...original, data: values });
    expect(await overlay.readRows("embedding", 17, 40)).toEqual(values.slice(17 * 48, 40 * 48));
    expect(await overlay.readRows("embedding", 5, 5)).toEqual(new Float32Array(0));
    expect(await overlay.readVector("finalNorm.weight")).toEqual(await source.readVector("finalNorm.weight"));
  });

  it("leaves matrices alone where the transform says null", async () => {
    const overlay = quantizedOverlay(
      source,
      packAs((id) => (id === "embedding" ? null : "q8s-row"), nearest),
    );
    expect(await overlay.readMatrix("embedding")).toEqual(await source.readMatrix("embedding"));
    expect(await overlay.readRows("embedding", 1, 3)).toEqual(await source.readRows("embedding", 1, 3));
    expect((await overlay.readMatrix("blocks.0.attn.q")).kind).toBe("packed");
  });

  it("can be laid over packed weights", async () => {
    const once = quantizedOverlay(source, packWith(plainMaths, "q4s-g32", "nearest"));
    const twice = quantizedOverlay(once, packWith(plainMaths, "q8s-g32", "nearest"));
    const matrix = await twice.readMatrix("blocks.1.mlp.down");
    expect(matrix).toMatchObject({ kind: "packed", codec: "q8s-g32" });
    const [a, b] = [denseMatrix(await once.readMatrix("blocks.1.mlp.down")), denseMatrix(matrix)];
    expect(Math.max(...a.data.map((x, i) => Math.abs(x - b.data[i])))).toBeLessThan(0.002);
  });

  it("refuses unknown names at once", () => {
    expect(() => packWith(plainMaths, "q4", "nearest")).toThrow(UserError);
  });
});
