import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openStatisticsDescent } from "../../../src/calibration/statistics.ts";
import type { CodecId } from "../../../src/codecs/index.ts";
import { Interrupted, UserError } from "../../../src/errors.ts";
import { hessianError } from "../../../src/maths/plain/hessian-error.ts";
import { plainMaths } from "../../../src/maths/plain/plain-maths.ts";
import { matricesOf } from "../../../src/model/decoder-spec.ts";
import { denseMatrix, matrixRows } from "../../../src/model/weight-source.ts";
import { type BuildLibraryOptions, buildLibrary } from "../../../src/quantization/library/build-library.ts";
import { type LibraryKey, MatrixLibrary } from "../../../src/quantization/library/matrix-library.ts";
import { packMatrix, packWith, quantizedOverlay } from "../../../src/quantization/overlay.ts";
import { packerOf } from "../../../src/quantization/packer.ts";
import { prepareInput } from "../../../src/quantization/quantizer-input.ts";
import { tinySource, tinySpec } from "../../artifact/tiny-source.ts";
import { executorsOf } from "../../runtime/test-executors.ts";

const KEY: LibraryKey = { checkpointId: "c", calibrationId: "t", quantizer: "gptq", plan: null };
const CODECS: readonly CodecId[] = ["q4t-g32-s8", "q3a-g32"];
const sequences = [Int32Array.from({ length: 24 }, (_, i) => (i * 5) % 11), Int32Array.of(1, 2, 3, 4, 5)];
const createExecutor = executorsOf("tfjs", "streamed");

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "library-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A library of the tiny model in `folder`. */
function tinyLibrary(tied: boolean, change: Partial<LibraryKey> = {}) {
  const source = tinySource(tinySpec(tied));
  const library = new MatrixLibrary(folder, { ...KEY, ...change });
  const build = (options: Partial<BuildLibraryOptions> = {}) =>
    buildLibrary(library, {
      source,
      codecsOf: () => CODECS,
      quantizer: "gptq",
      sequences,
      createExecutor,
      maths: plainMaths,
      ...options,
    });
  return { source, library, build };
}

describe("MatrixLibrary", () => {
  it.each([true, false])("has every matrix in every codec, and is not built twice; tied: %s", async (tied) => {
    const { source, library, build } = tinyLibrary(tied);
    await build();
    const files = readdirSync(folder);
    const ids = matricesOf(source.spec).map(({ id }) => id);
    expect(files.length).toBe(ids.length * CODECS.length);
    let packed = 0;
    await build({ codecsOf: () => [...CODECS, "q8s-g32"], onProgress: () => packed++ });
    expect(packed).toBe(ids.length);
    for (const id of ids) {
      for (const codec of CODECS)
        expect(await library.errorOf(id, codec)).toBeGreaterThan(await library.errorOf(id, "q8s-g32"));
    }
    const costs = await library.costs(ids.flatMap((id) => CODECS.map((codec) => [id, codec] as const)));
    expect(costs.map(({ codec, matrices }) => [codec, matrices])).toEqual(CODECS.map((codec) => [codec, ids.length]));
  });

  it("holds the numbers of its quantizer, whose errors are below those of nearest", async () => {
    const { source, library, build } = tinyLibrary(true);
    const id = "blocks.0.mlp.gate";
    await build({ codecsOf: (wanted) => (wanted === id ? CODECS : []) });
    const descent = await openStatisticsDescent({ source, sequences, createExecutor, maths: plainMaths });
    const { gram } = (await descent.collect()).of(id);
    await descent.close();
    const { data, rows, cols } = denseMatrix(await source.readMatrix(id));
    for (const codec of CODECS) {
      const found = hessianError({
        w: data,
        values: denseMatrix(await library.matrixAt(id, codec)).data,
        gram,
        rows,
        cols,
      });
      expect(Math.abs((await library.errorOf(id, codec)) / found - 1)).toBeLessThan(1e-4);
      const nearest = await quantizedOverlay(source, packWith(plainMaths, codec, "nearest")).readMatrix(id);
      expect(found).toBeLessThan(0.8 * hessianError({ w: data, values: denseMatrix(nearest).data, gram, rows, cols }));
    }
  });

  it("goes on where it was stopped, to the same bytes", async () => {
    const whole = tinyLibrary(true);
    await whole.build();
    const files = readdirSync(folder).length;
    const other = tinyLibrary(true, { calibrationId: "other" });
    const stop = new AbortController();
    const stopped = other.build({ signal: stop.signal, onProgress: ({ done }) => done === 7 && stop.abort() });
    await expect(stopped).rejects.toThrow(Interrupted);
    expect(readdirSync(folder).length).toBe(files + 7);
    await other.build();
    for (const { id } of matricesOf(whole.source.spec)) {
      for (const codec of CODECS) {
        expect(await other.library.matrixAt(id, codec)).toEqual(await whole.library.matrixAt(id, codec));
      }
    }
  });

  it("gives a plan's matrices as a source, whole or by rows", async () => {
    const { source, library, build } = tinyLibrary(true);
    await build({ codecsOf: () => ["q4s-g32"] });
    const matrices = matricesOf(source.spec);
    const under = library.under(source, new Map(matrices.map(({ id }) => [id, "q4s-g32"])));
    for (const { id, rows } of matrices) {
      const matrix = await under.readMatrix(id);
      expect(matrix).toEqual(await library.matrixAt(id, "q4s-g32"));
      for (const [from, to] of [
        [0, rows],
        [5, 5],
        [rows - 1, rows],
        [3, Math.min(rows, 20)],
      ]) {
        expect(await under.readRows(id, from, to)).toEqual(matrixRows(matrix, from, to));
      }
    }
  });

  it("quantizes one plan by the inputs that its quantized blocks produce", async () => {
    const { source, library, build } = tinyLibrary(true);
    const codecsOf = (): readonly CodecId[] => ["q3a-g32"];
    await build({ codecsOf });
    const plan = tinyLibrary(true, { plan: "p" });
    await plan.build({ codecsOf, sequentialFrom: library });
    const under = plan.library.under(source, new Map(matricesOf(source.spec).map(({ id }) => [id, "q3a-g32"])));
    const descent = await openStatisticsDescent({
      source,
      embedding: under,
      sequences,
      createExecutor,
      maths: plainMaths,
    });
    const packer = packerOf(plainMaths, "gptq");
    while (descent.at < source.spec.blocks.length) {
      for (const { matrices, statistics } of (await descent.collect()).inputs) {
        const input = await prepareInput(plainMaths, statistics, "factor");
        for (const id of matrices) {
          const matrix = denseMatrix(await source.readMatrix(id));
          const expected = await packMatrix(id, matrix, "q3a-g32", (band, by, given) =>
            packer(band, by, { ...given, input }),
          );
          expect(await plan.library.matrixAt(id, "q3a-g32")).toEqual(expected);
        }
      }
      await descent.advance(under);
    }
    await descent.close();
    const last = `blocks.${source.spec.blocks.length - 1}.mlp.down`;
    expect(await plan.library.matrixAt(last, "q3a-g32")).not.toEqual(await library.matrixAt(last, "q3a-g32"));
  });

  it("refuses a file that is damaged or missing", async () => {
    const { library, build } = tinyLibrary(true);
    await build({ codecsOf: (id) => (id === "blocks.0.mlp.up" ? ["q4s-g32"] : []) });
    await expect(library.matrixAt("blocks.0.mlp.up", "q2s-g32")).rejects.toThrow(UserError);
    const [name] = readdirSync(folder);
    writeFileSync(path.join(folder, name), "nothing of the kind");
    await expect(library.matrixAt("blocks.0.mlp.up", "q4s-g32")).rejects.toThrow(UserError);
  });
});
