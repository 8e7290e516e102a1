import { expect, it } from "vitest";
import { importsOf, resolveImport, SOURCE_FILES, textOf } from "./source-files.ts";

/**
 * Files that import each other, directly or by way of others: Tarjan's strongly connected parts of two files or more.
 */
function circlesOf(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const circles: string[][] = [];
  const order = new Map<string, number>();
  const open: string[] = [];
  const visit = (file: string): number => {
    const at = order.size;
    order.set(file, at);
    open.push(file);
    let low = at;
    for (const target of imports.get(file) ?? []) {
      if (!order.has(target)) low = Math.min(low, visit(target));
      else if (open.includes(target)) low = Math.min(low, order.get(target)!);
    }
    if (low === at) {
      const circle = open.splice(open.indexOf(file));
      if (circle.length > 1) circles.push(circle.sort());
    }
    return low;
  };
  for (const file of imports.keys()) if (!order.has(file)) visit(file);
  return circles;
}

const importsOfFile = (file: string) =>
  importsOf(textOf(file))
    .filter(({ module }) => module.startsWith("."))
    .map(({ module }) => resolveImport(file, module));

it("finds a circle and its way round", () => {
  const imports = new Map([
    ["a", ["b", "d"]],
    ["b", ["c"]],
    ["c", ["a"]],
    ["d", ["c", "e"]],
    ["e", []],
  ]);
  expect(circlesOf(imports)).toEqual([["a", "b", "c", "d"]]);
});

it("no files import each other in a circle, not even for types", () => {
  const circles = circlesOf(new Map(SOURCE_FILES.map((file) => [file, importsOfFile(file)])));
  expect(circles).toEqual([]);
});
