import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { SOURCE_FILES } from "./source-files.ts";

const design = readFileSync("docs/design.md", "utf8");
/** Folders and files in the first column of the layout's table. */
const NAMED = design
  .split("\n")
  .filter((line) => /^\| `[a-z-]+(\/|\.ts)/.test(line))
  .flatMap((line) => [...line.split(" | ")[0].matchAll(/`([^`]+)`/g)].map(([, name]) => name));

it("docs/design.md names every folder of src and every file at its root", () => {
  const places = SOURCE_FILES.map((file) => (file.includes("/") ? `${path.posix.dirname(file)}/` : file));
  expect([...new Set(places)].filter((place) => !NAMED.includes(place))).toEqual([]);
});

it("and nothing that is not there", () => {
  expect(NAMED.length).toBeGreaterThan(30);
  expect(NAMED.filter((name) => !existsSync(path.join("src", name)))).toEqual([]);
});
