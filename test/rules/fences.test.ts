import { describe, expect, it } from "vitest";
import { importsOf, SOURCE_FILES, textOf } from "./source-files.ts";

/** Packages and modules that only some places may import: files, or folders with a slash at the end. */
const FENCES: readonly { module: RegExp; allowed: readonly string[] }[] = [
  { module: /^@tensorflow\//, allowed: ["runtime/tfjs/", "training/"] },
  { module: /^(yargs|cli-progress|cli-table3|picocolors)(\/|$)/, allowed: ["cli/"] },
  { module: /^highs$/, allowed: ["planning/optimal/highs-solver.ts"] },
  { module: /^mathjs(\/|$)/, allowed: ["planning/budget/size-expression.ts", "planning/budget/mathjs-bundle.d.ts"] },
  { module: /^proper-lockfile$/, allowed: ["formats/lock.ts"] },
  { module: /^(@observablehq\/plot|linkedom)$/, allowed: ["bench/line-chart.ts"] },
  { module: /^yaml$/, allowed: ["formats/yaml-document.ts"] },
  { module: /^picomatch$/, allowed: ["planning/problem/rules.ts"] },
  {
    module: /^node:fs(\/promises)?$/,
    allowed: [
      "formats/",
      "artifact/",
      "cli/",
      "pipeline/",
      "planning/budget/device-file.ts",
      "planning/budget/free-memory.ts",
      "native/load.ts",
      "native/prove-binary.ts",
    ],
  },
];

/** Every import of a package or a module of Node: [file, module]. */
const OUTSIDE = SOURCE_FILES.flatMap((file) =>
  importsOf(textOf(file))
    .filter(({ module }) => !module.startsWith("."))
    .map(({ module }) => [file, module] as const),
);

const lies = (file: string, place: string) => (place.endsWith("/") ? file.startsWith(place) : file === place);

describe.each(FENCES)("fence around $module", ({ module: fenced, allowed }) => {
  const importers = OUTSIDE.filter(([, name]) => fenced.test(name));

  it("holds", () => {
    const outside = importers.filter(([file]) => !allowed.some((place) => lies(file, place)));
    expect(outside.map(([file, name]) => `${file} imports ${name}`)).toEqual([]);
  });

  it("has a gate only where somebody goes through", () => {
    expect(importers.length).toBeGreaterThan(0);
    expect(allowed.filter((place) => !importers.some(([file]) => lies(file, place)))).toEqual([]);
  });
});
