import { describe, expect, it } from "vitest";
import { RECIPE_QUANTIZER_IDS } from "../../src/quantization/index.ts";
import { importsOf, resolveImport, SOURCE_FILES, textOf } from "./source-files.ts";

/** What may hold the addon's engine. Everything else takes `Maths`, which is never null, or an executor. */
const HOLDS_ENGINE: readonly string[] = [
  "maths/native.ts",
  "maths/open-maths.ts",
  // The native executor, and the packed product that TensorFlow.js calls it for.
  "runtime/native/declaration.ts",
  "runtime/native/executor.ts",
  "runtime/native/weights.ts",
  "runtime/tfjs/native-products.ts",
  "runtime/tfjs/packed-matmul.ts",
  // Measures memory, which is no maths.
  "bench/read-bandwidth.ts",
];

/** What chooses the plain maths itself, or needs a piece of them on numbers that it holds. */
const USES_PLAIN: readonly string[] = [
  // bf16 is a copy: nothing to compute.
  "evaluation/noise-floor.ts",
  "evaluation/zero-shot/score-choices.ts",
  "runtime/tfjs/executor.ts",
];

/** What names a quantizer outside src/quantization. */
const NAMES_QUANTIZER: readonly string[] = [
  "evaluation/noise-floor.ts",
  // The default of a recipe.
  "pipeline/recipe.ts",
];

const outside = (...rooms: readonly string[]) =>
  SOURCE_FILES.filter((file) => !rooms.some((room) => file.startsWith(room)));

describe("the seam of the maths", () => {
  it("lets nobody else hold an engine", () => {
    const engine = /\b(NativeEngine|NativeOffline|openEngine)\b|\.offline\b/;
    const holding = outside("native/").filter((file) => engine.test(textOf(file)));
    expect(holding).toEqual(HOLDS_ENGINE.toSorted());
  });

  it("lets nobody else choose an implementation", () => {
    const using = outside("maths/").filter((file) =>
      importsOf(textOf(file)).some(({ module }) => resolveImport(file, module).startsWith("maths/plain/")),
    );
    expect(using).toEqual(USES_PLAIN);
  });
});

describe("quantizers", () => {
  const name = new RegExp(`"(?:${RECIPE_QUANTIZER_IDS.join("|")})"`);

  it("are named in their own files and their table alone", () => {
    expect(name.test('quantizer === "gptq"')).toBe(true);
    expect(outside("quantization/").filter((file) => name.test(textOf(file)))).toEqual(NAMES_QUANTIZER);
  });

  it("are compared by name nowhere", () => {
    const comparison = new RegExp(`(?:[!=]==|case)\\s*${name.source}|${name.source}\\s*[!=]==`);
    expect(comparison.test('if (id === "gptq")')).toBe(true);
    expect(SOURCE_FILES.filter((file) => comparison.test(textOf(file)))).toEqual([]);
  });
});
