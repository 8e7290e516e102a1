/** The offline entry point: the whole pipeline and its stages. */
export * from "./pipeline/compress.ts";
export { loadRecipe, Recipe } from "./pipeline/recipe.ts";
export { openRunFolder, type RunFolder } from "./pipeline/run-folder.ts";
