// Recipes that measuring scripts make for themselves.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

/** Calibration by so many tokens of each of some texts that ship, as a recipe names it. */
export function shippedTexts(names, tokens) {
  return { sources: names.map((name) => ({ path: path.resolve("calibration-data", name), tokens })) };
}

/** Writes a recipe as JSON, which is YAML; gives the file. */
export function recipeFile(file, recipe) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, JSON.stringify(recipe));
  return file;
}
