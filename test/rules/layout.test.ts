import { describe, expect, it } from "vitest";
import { importsOf, resolveImport, SOURCE_FILES, textOf } from "./source-files.ts";

/** Floors from low to high: a file imports from its own floor and from lower ones only. */
const FLOORS: readonly (readonly string[])[] = [
  ["errors", "progress", "version", "near-names", "tensor"],
  ["formats", "codecs", "native"],
  ["maths"],
  ["model"],
  ["artifact"],
  ["runtime"],
  ["passes"],
  ["decoding"],
  ["calibration", "scoring", "planning", "quantization", "pruning", "training", "evaluation"],
  ["pipeline", "bench", "report"],
  ["cli", "index", "plan-entry", "compress-entry"],
];

/** Packages and modules that only some places may import. */
const FENCES: readonly { module: RegExp; allowed: readonly string[] }[] = [
  { module: /^@tensorflow\//, allowed: ["runtime/tfjs/", "training/"] },
  { module: /^(yargs|cli-progress|cli-table3|picocolors)(\/|$)/, allowed: ["cli/"] },
  { module: /^highs$/, allowed: ["planning/optimal/highs-solver.ts"] },
  { module: /^mathjs(\/|$)/, allowed: ["planning/budget/size-expression.ts", "planning/budget/mathjs-bundle.d.ts"] },
  {
    module: /^node:fs(\/promises)?$/,
    allowed: [
      "formats/",
      "artifact/",
      "calibration/",
      "cli/",
      "model/checkpoint",
      "model/tokenizer",
      "pipeline/",
      "planning/budget/device-file.ts",
      "planning/budget/free-memory.ts",
      "quantization/library/matrix-library.ts",
      "bench/",
      "native/load.ts",
      "native/prove-binary.ts",
    ],
  },
];

const MAX_LINES = 300;
const files = SOURCE_FILES;

/** First path segment without the extension: the room a file lives in. */
const roomOf = (file: string) => file.split("/")[0].replace(/\.ts$/, "");
const floorOf = (room: string) => FLOORS.findIndex((rooms) => rooms.includes(room));

describe("layout", () => {
  it("knows every room", () => {
    expect(files.length).toBeGreaterThan(50);
    expect(files.filter((file) => floorOf(roomOf(file)) < 0)).toEqual([]);
  });

  it("looks downstairs only", () => {
    const upward = files.flatMap((file) =>
      importsOf(textOf(file))
        .filter(({ module }) => module.startsWith("."))
        .map(({ module }) => resolveImport(file, module))
        .filter((target) => floorOf(roomOf(target)) > floorOf(roomOf(file)))
        .map((target) => `${file} -> ${target}`),
    );
    expect(upward).toEqual([]);
  });

  it("keeps the fences", () => {
    const breaches = files.flatMap((file) =>
      importsOf(textOf(file)).flatMap(({ module: name }) =>
        FENCES.filter((fence) => fence.module.test(name) && !fence.allowed.some((start) => file.startsWith(start))).map(
          () => `${file} imports ${name}`,
        ),
      ),
    );
    expect(breaches).toEqual([]);
  });

  it(`has no file over ${MAX_LINES} lines`, () => {
    expect(files.filter((file) => textOf(file).split("\n").length > MAX_LINES)).toEqual([]);
  });

  it("lets only the command line speak", () => {
    const speaks = /\bconsole\.|process\.(exit|argv|stdout|stderr|stdin)\b/;
    expect(files.filter((file) => !file.startsWith("cli/") && speaks.test(textOf(file)))).toEqual([]);
    const environment = /process\.env\b/;
    const allowed = ["cli/", "runtime/tfjs/backend.ts", "native/load.ts"];
    expect(
      files.filter((file) => environment.test(textOf(file)) && !allowed.some((start) => file.startsWith(start))),
    ).toEqual([]);
  });
});
