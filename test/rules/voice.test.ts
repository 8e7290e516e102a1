import { expect, it } from "vitest";
import { SOURCE_FILES, textOf } from "./source-files.ts";

/** Who reads the environment beside the command line. */
const READS_ENVIRONMENT = ["cache-folder.ts", "native/load.ts", "runtime/tfjs/backend.ts"];

const outsideCli = SOURCE_FILES.filter((file) => !file.startsWith("cli/"));

it("only the command line speaks, exits and reads its arguments", () => {
  const speaks = /\bconsole\.|process\.(exit|argv|stdout|stderr|stdin)\b/;
  expect(outsideCli.filter((file) => speaks.test(textOf(file)))).toEqual([]);
});

it("only few read the environment", () => {
  const readers = outsideCli.filter((file) => /process\.env\b/.test(textOf(file)));
  expect(readers).toEqual([...READS_ENVIRONMENT].sort());
});

it("only the reader of JSON parses it: its limits hold for every file", () => {
  expect(SOURCE_FILES.filter((file) => /\bJSON\.parse\(/.test(textOf(file)))).toEqual(["formats/json.ts"]);
});
