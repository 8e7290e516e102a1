import { afterEach, describe, expect, it, vi } from "vitest";
import { chooseExecutor, createExecutor, type ExecutorOptions, optionsOf } from "../../src/runtime/create-executor.ts";
import { describeExecutor } from "../../src/runtime/describe-executor.ts";
import { logitsOf, maxDifference } from "./compare.ts";
import { HAS_ADDON, needsAddon } from "./native/addon-state.ts";
import { packedSource, randomSource, smallSpec } from "./random-model.ts";

const LOADER = "../../src/native/load.ts";

/** As on a machine without the addon. */
function withoutAddon(): void {
  vi.resetModules();
  vi.doMock(LOADER, () => ({
    loadNative: () => ({ addon: null, reason: "there is no compiler" }),
    openEngine: () => {
      throw new Error("there is no addon");
    },
  }));
}

async function chosenHere(options: ExecutorOptions) {
  const fresh = await import("../../src/runtime/create-executor.ts");
  return fresh.chooseExecutor(options);
}

describe("createExecutor", () => {
  afterEach(() => {
    vi.doUnmock(LOADER);
    vi.resetModules();
  });

  it("takes tfjs where the addon is missing, and says why", async () => {
    withoutAddon();
    expect(await chosenHere({})).toEqual({ kind: "tfjs", reason: "native does not load: there is no compiler" });
    const { createExecutor: create } = await import("../../src/runtime/create-executor.ts");
    const executor = await create(randomSource(smallSpec()));
    expect(executor.info).toMatchObject({ executor: "tfjs", isa: null, activations: "f32" });
    expect(executor.info.reason).toMatch(/^native does not load: there is no compiler; /);
    await executor.dispose();
    const { describeExecutor: describeHere } = await import("../../src/runtime/describe-executor.ts");
    expect(await describeHere({ backend: "cpu" })).toMatchObject({
      ...{ executor: "tfjs", backend: "cpu", isas: [], nativeMissing: "there is no compiler" },
      reason: "asked for by name",
    });
  });

  it("refuses native by name where the addon is missing", async () => {
    withoutAddon();
    for (const options of [{ executor: "native" }, { isa: "avx2" }, { activations: "int8" }] as const) {
      await expect(chosenHere(options)).rejects.toMatchObject({
        code: "EXECUTOR",
        message: "executor: expected native, found no addon: there is no compiler",
      });
    }
  });

  it("refuses options that only the other executor has", async () => {
    await expect(chooseExecutor({ executor: "native", backend: "wasm" })).rejects.toMatchObject({ code: "EXECUTOR" });
    await expect(chooseExecutor({ executor: "tfjs", isa: "avx2" })).rejects.toThrow("instruction set avx2");
    await expect(chooseExecutor({ executor: "tfjs", activations: "int8" })).rejects.toThrow("activations int8");
    await expect(chooseExecutor({ backend: "cpu", isa: "avx2" })).rejects.toThrow("only the native executor has");
  });

  it("takes tfjs where a backend is asked for by name", async () => {
    expect(await chooseExecutor({ backend: "cpu" })).toEqual({ kind: "tfjs", reason: "" });
    expect(await chooseExecutor({ executor: "tfjs" })).toEqual({ kind: "tfjs", reason: "" });
    const executor = await createExecutor(randomSource(smallSpec()), { backend: "cpu", activations: "f32" });
    expect(executor.info).toMatchObject({ executor: "tfjs", backend: "cpu", reason: "asked for by name" });
    await executor.dispose();
  });

  it.each([{ backend: "wasm" }, { backend: "cpu", residency: "resident" }] as const)(
    "makes another one like an executor from what that says of itself: %o",
    async (options) => {
      const source = randomSource(smallSpec());
      const first = await createExecutor(source, options);
      const second = await createExecutor(source, optionsOf(first.info));
      expect(second.info).toEqual(first.info);
      expect(second.info).toMatchObject(options);
      await first.dispose();
      await second.dispose();
    },
  );
});

describe.skipIf(!HAS_ADDON)(needsAddon("createExecutor with the addon"), () => {
  it("takes native, and says what it is", async () => {
    const source = await packedSource(randomSource(smallSpec()), "q8s-g32");
    const executor = await createExecutor(source, { threads: 1 });
    expect(executor.info).toMatchObject({
      ...{ executor: "native", backend: null, threads: 1, activations: "int8", residency: "packed" },
      reason: "its addon loads here",
    });
    await executor.dispose();
    const report = await describeExecutor();
    expect(report).toMatchObject({ executor: "native", isa: executor.info.isa, nativeMissing: null });
    const runnable = report.isas.filter(({ unavailable }) => unavailable === null);
    expect(runnable.at(-1)?.name).toBe(report.isa);
    await expect(createExecutor(source, { isa: "mmx" })).rejects.toMatchObject({ name: "UserError" });
  });

  it("computes the same on both executors", async () => {
    const source = await packedSource(randomSource(smallSpec({ qkNorm: true, bias: true })), "q5a-g32");
    const ids = [3, 1, 4, 1, 5, 9, 2, 6];
    const logits: Float32Array[] = [];
    for (const executor of ["native", "tfjs"] as const) {
      const made = await createExecutor(source, { executor, activations: "f32" });
      logits.push(await logitsOf(made, ids));
      await made.dispose();
    }
    expect(maxDifference(logits[0], logits[1])).toBeLessThan(1e-5);
  });
});
