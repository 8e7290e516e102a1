import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

const PAGES = [
  "README.md",
  "experiments/README.md",
  ...["docs", "docs/decisions"].flatMap((folder) =>
    readdirSync(folder)
      .filter((file) => file.endsWith(".md"))
      .map((file) => `${folder}/${file}`),
  ),
];

it("links of the docs lead to something", () => {
  const dead = PAGES.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(/\]\(([^)#:]+)(#[^)]*)?\)/g)]
      .filter(([, target]) => !existsSync(path.join(path.dirname(page), target)))
      .map(([, target]) => `${page}: ${target}`),
  );
  expect(dead).toEqual([]);
});

it("files and folders that the docs name are there", () => {
  const named = /`((?:src|test|scripts|experiments|pipelines|docs)\/[\w./-]*\w)\/?`/g;
  const gone = PAGES.flatMap((page) =>
    [...readFileSync(page, "utf8").matchAll(named)]
      .filter(([, place]) => !existsSync(place))
      .map(([, place]) => `${page}: ${place}`),
  );
  expect(gone).toEqual([]);
});
