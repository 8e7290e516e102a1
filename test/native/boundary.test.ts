import { describe, it } from "vitest";
import type { NativeMatrix } from "../../src/native/addon.ts";
import { alignedBytes } from "../../src/native/aligned.ts";
import { ADDON_STATE, codecNamed, engineOf, HAS_ADDON, ISAS, normals, theAddon } from "./engines.ts";
import { HAS_KERNELS, kernelsOf } from "./kernels/tables.ts";
import { BAD_SIZES, changed, detached, expectRefused, type Loose, loose, resizable } from "./refusals.ts";
import { randomMatrix, tinyModel } from "./tiny-model.ts";

const engine = () => engineOf(ISAS[ISAS.length - 1]);

describe.skipIf(!HAS_ADDON)(`the addon's boundary (${ADDON_STATE})`, () => {
  it("refuses matrices that are none", async () => {
    const w = randomMatrix(20, 40);
    const [x, y] = [new Float32Array(40), new Float32Array(20)];
    const run = (matrix: unknown) => () => engine().product(loose(matrix), x, y);
    for (const value of [undefined, null, 4, "w", [], {}]) await expectRefused(run(value), /\bw\b/);
    for (const size of [...BAD_SIZES, 0]) {
      await expectRefused(run(changed(w, { rows: size })), /rows|bytes/);
      await expectRefused(run(changed(w, { cols: size })), /cols|bytes/);
      await expectRefused(run(changed(w, { group: size, kind: "q4" })), /group|bytes/);
    }
    for (const kind of ["q7", "F32", "", 4, null, "q4s-g32"]) await expectRefused(run(changed(w, { kind })), /kind/);
    await expectRefused(run(changed(w, { asymmetric: 1 })), /asymmetric/);
    await expectRefused(run(changed(w, { table: 1 })), /table/);
    await expectRefused(run(changed(w, { kind: "q8", table: true })), /2 to 5 bits/);
    await expectRefused(run(changed(w, { kind: "q4", table: true, asymmetric: true })), /not asymmetric/);
    await expectRefused(run(changed(w, { kind: "f32", group: 0, twoLevel: true })), /float kind/);
    await expectRefused(run(changed(w, { twoLevel: 0 })), /twoLevel/);
    await expectRefused(run(changed(w, { kind: "q8", twoLevel: true })), /bytes/);
    const bytes = w.bytes;
    const bad: [unknown, RegExp][] = [
      [Array.from(bytes), /bytes/],
      [bytes.buffer, /bytes/],
      [new Float32Array(bytes.length / 4), /bytes/],
      [bytes.subarray(0, bytes.length - 64), /bytes/],
      [alignedBytes(bytes.length + 64), /bytes/],
      [alignedBytes(bytes.length + 64).subarray(4, bytes.length + 4), /bytes/],
      [alignedBytes(bytes.length + 64).subarray(1, bytes.length + 1), /bytes/],
      [detached(new Uint8Array(bytes.length)), /bytes/],
      [new Uint8Array(loose(new SharedArrayBuffer(bytes.length))), /bytes/],
      [new Uint8Array(resizable(bytes.length)), /bytes/],
      [new DataView(bytes.buffer), /bytes/],
    ];
    for (const [value, message] of bad) await expectRefused(run(changed(w, { bytes: value })), message);
    // And what is right still works.
    engine().product(w, x, y);
  });

  it("refuses arrays that do not fit a product", async () => {
    const w = randomMatrix(20, 40);
    const [x, y] = [new Float32Array(80), new Float32Array(40)];
    for (const product of ["product", "productInt8", "productTransposed"] as const) {
      const matrix = product === "productInt8" ? codecMatrix() : w;
      const [input, output] = product === "productTransposed" ? [y, x] : [x, y];
      const call = (a: unknown, b: unknown) => () => engine()[product](matrix, loose(a), loose(b));
      const inputs = [
        [],
        new Float64Array(input.length),
        new Float32Array(0),
        new Float32Array(input.length - 1),
        null,
      ];
      for (const value of [...inputs, detached(new Float32Array(input.length))]) {
        await expectRefused(call(value, output), /\b(x|dy)\b/);
      }
      for (const value of [new Float32Array(output.length + 1), new Float32Array(output.length / 2), undefined]) {
        await expectRefused(call(input, value), /\b(y|dx)\b/);
      }
      await expectRefused(call(input, detached(new Float32Array(output.length))), /\b(y|dx)\b/);
      const both = new Float32Array(input.length + output.length);
      const overlap = both.subarray(input.length - 1, input.length - 1 + output.length);
      await expectRefused(call(both.subarray(0, input.length), overlap), /overlap/);
      call(input, output)();
    }
    await expectRefused(() => engine().productInt8(w, x, y), /w/);
  });

  it.skipIf(!HAS_KERNELS)("refuses what no kernel takes", async () => {
    const kernels = kernelsOf(ISAS[ISAS.length - 1]);
    const [x, w] = [normals(32, "x"), randomMatrix(5, 8)];
    for (const row of [...BAD_SIZES, 5]) await expectRefused(() => kernels.unpackRow(w, loose(row)), /row/);
    for (const rows of BAD_SIZES) await expectRefused(() => kernels.quantizeRows(x, loose(rows), 32), /rows|cols|x/);
    await expectRefused(() => kernels.quantizeRows(x, 1, 33), /x|cols/);
    await expectRefused(() => kernels.rmsNorm(x, new Float32Array(31), 1e-5), /weight/);
    for (const eps of [Number.NaN, Infinity, "1", null]) {
      await expectRefused(() => kernels.rmsNorm(x, x, loose(eps)), /eps/);
    }
    await expectRefused(() => kernels.layerNorm(x, x, new Float32Array(33), 1e-5), /bias/);
    await expectRefused(() => kernels.rotate(x, new Float32Array(15), new Float32Array(16)), /cos|sin|x/);
    await expectRefused(() => kernels.rotate(x, new Float32Array(17), new Float32Array(17)), /cos|sin|x/);
    await expectRefused(() => kernels.activate(loose("swish"), x), /kind/);
    await expectRefused(() => kernels.activateGated("silu", x, new Float32Array(31)), /up/);
    await expectRefused(() => kernels.toF16(loose(new Uint16Array(4))), /x/);
    await expectRefused(() => kernels.fromF16(detached(loose(new Uint16Array(4)))), /x/);
    const attend = {
      kvType: "f16",
      headDim: 8,
      queries: new Float32Array(16),
      keys: new Float32Array(80),
      values: new Float32Array(80),
      visibleFrom: Int32Array.of(0, 0),
      visibleTo: Int32Array.of(10, 3),
    };
    const wrong: [Loose, RegExp][] = [
      [{ kvType: "q4" }, /kvType/],
      ...[...BAD_SIZES, 0, 7].map((headDim): [Loose, RegExp] => [{ headDim }, /headDim|queries|keys/]),
      [{ queries: new Float32Array(15) }, /queries/],
      [{ keys: new Float32Array(72) }, /keys|values|visibleTo/],
      [{ values: new Float32Array(88) }, /values/],
      [{ visibleTo: Int32Array.of(11, 3) }, /visible/],
      [{ visibleFrom: Int32Array.of(-1, 0) }, /visible/],
      [{ visibleFrom: Int32Array.of(5, 4) }, /visible/],
      [{ visibleFrom: Int32Array.of(0) }, /visible/],
    ];
    for (const [fields, message] of wrong) {
      await expectRefused(() => kernels.attend(changed(attend, fields)), message);
    }
    kernels.attend(loose(attend));
  });

  it("refuses engines, caches and files that cannot be", async () => {
    const addon = theAddon();
    for (const isa of ["avx9", "", "SCALAR", null, 3]) {
      await expectRefused(() => addon.createEngine({ isa: loose(isa), threads: 1 }), /isa/);
    }
    for (const { name, unavailable } of addon.isas) {
      if (unavailable) await expectRefused(() => addon.createEngine({ isa: name, threads: 1 }), /isa/);
    }
    for (const threads of [...BAD_SIZES, 0, 100_000]) {
      await expectRefused(() => addon.createEngine({ isa: "scalar", threads: loose(threads) }), /threads/);
    }
    const { model } = tinyModel(engine());
    for (const maxTokens of [...BAD_SIZES]) {
      await expectRefused(() => model.createCache({ maxTokens: loose(maxTokens), kvType: "f16" }), /maxTokens/);
    }
    await expectRefused(() => model.createCache({ maxTokens: 10, kvType: loose("q4") }), /kvType/);
    const file = process.execPath;
    await expectRefused(() => addon.mapFile("/no/such/file", 0, 64), /no such file/i);
    for (const offset of [1, 4095, -4096, 2 ** 53, Number.NaN]) {
      await expectRefused(() => addon.mapFile(file, offset, 64), /offset|short|size|bytes/);
    }
    for (const length of [2 ** 52, -1, Number.NaN, 1.5]) {
      await expectRefused(() => addon.mapFile(file, 0, length), /length|short|size|bytes/);
    }
    await expectRefused(() => addon.mapFile("a\0b", 0, 64), /path|no such file/i);
    for (const size of [...BAD_SIZES, 0]) {
      await expectRefused(
        () =>
          addon.packedBytes(
            { kind: "q4", asymmetric: false, group: 32, table: false, twoLevel: false, keptCount: 0, keptOf: 0 },
            loose(size),
            4,
          ),
        /rows/,
      );
    }
  });
});

function codecMatrix(): NativeMatrix {
  const codec = codecNamed("q8s-g32");
  const bytes = alignedBytes(codec.packedBytes(20, 40));
  return {
    kind: "q8",
    asymmetric: false,
    group: 32,
    table: false,
    twoLevel: false,
    keptCount: 0,
    keptOf: 0,
    rows: 20,
    cols: 40,
    bytes,
  };
}
