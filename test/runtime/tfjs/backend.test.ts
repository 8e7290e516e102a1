import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MEASURED_BASE_BYTES } from "../../../src/runtime/base-bytes-measured.ts";
import { BACKENDS, ensureGradients, openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { PACKED_MATMUL } from "../../../src/runtime/tfjs/packed-matmul.ts";
import { describeOnBackends, HAS_TENSORFLOW, needsTensorflow } from "../../support/tensorflow.ts";

describe("backend", () => {
  afterEach(() => {
    vi.doUnmock("@tensorflow/tfjs-node");
    vi.doUnmock("@tensorflow/tfjs-backend-wasm");
  });

  describeOnBackends("%s", (backend) => {
    it("opens by name, with the packed product registered", async () => {
      const info = await openBackend({ backend });
      expect(tf.getBackend()).toBe(backend);
      expect(info).toMatchObject({ backend, reason: "asked for by name" });
      expect(info.version).toMatch(/^4\.\d+\.\d+/);
      expect(tf.getKernel(PACKED_MATMUL, backend)).toBeDefined();
      if (backend !== "tensorflow") expect(info.threads).toBe(1);
    });
  });

  it.skipIf(!HAS_TENSORFLOW)(needsTensorflow("uses tfjs-node where it works"), async () => {
    const info = await openBackend();
    expect(info).toMatchObject({ backend: "tensorflow", reason: "tfjs-node is installed and works" });
    expect(info.version).toMatch(/libtensorflow 2\./);
  });

  it.skipIf(!HAS_TENSORFLOW)(needsTensorflow("reports the threads that libtensorflow was loaded with"), async () => {
    const first = await openBackend({ backend: "tensorflow" });
    const later = await openBackend({ backend: "tensorflow", threads: first.threads + 3 });
    expect(later.threads).toBe(first.threads);
  });

  it("says why it uses a slower one", async () => {
    vi.doMock("@tensorflow/tfjs-node", () => {
      throw new Error("no such file: tfjs_binding.node\nmore");
    });
    const info = await openBackend();
    expect(info.backend).toBe("wasm");
    expect(info.reason).toMatch(/^tfjs-node does not work: .+; using wasm$/);
    expect(info.reason).not.toContain("\n");
  });

  it("refuses a backend asked for by name that does not work, in one line", async () => {
    vi.doMock("@tensorflow/tfjs-node", () => {
      throw new Error("broken\nmore");
    });
    const refused = openBackend({ backend: "tensorflow" });
    await expect(refused).rejects.toMatchObject({ name: "UserError", code: "BACKEND" });
    await expect(refused).rejects.toThrow(/^backend: expected one that works, found: tfjs-node does not work: .+$/);
  });

  const differentiates = "differentiates products without transposed operands on wasm, equal to tensorflow's";
  it.skipIf(!HAS_TENSORFLOW)(needsTensorflow(differentiates), async () => {
    const gradients = async (backend: "wasm" | "tensorflow") => {
      await openBackend({ backend });
      await ensureGradients();
      const values = tf.tidy(() => {
        const a = tf.tensor3d([1, 2, 3, 4, 5, 6], [1, 2, 3]);
        const b = tf.tensor3d([1, 0, 2, -1, 3, 1], [1, 3, 2]);
        const loss = (x: tf.Tensor, y: tf.Tensor) => tf.sum<tf.Scalar>(tf.square(tf.matMul(x, y)));
        return tf
          .grads(loss)([a, b])
          .map((gradient) => gradient.arraySync());
      });
      return values;
    };
    expect(await gradients("wasm")).toEqual(await gradients("tensorflow"));
  });

  it("has a measured base for native and every backend", () => {
    expect(Object.keys(MEASURED_BASE_BYTES)).toEqual(["native", ...BACKENDS]);
    for (const bytes of Object.values(MEASURED_BASE_BYTES)) expect(bytes).toBeGreaterThan(20 * 2 ** 20);
    expect(readFileSync("scripts/measure-runtime-base.mjs", "utf8")).toContain("base-bytes-measured.ts");
  });
});
