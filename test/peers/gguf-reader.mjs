// The reader of GGUF files is test code in TypeScript (test/support/gguf): scripts get it by way of the test runner's
// Vite.
import { runnerImport } from "vite";

const load = async (file) => (await runnerImport(new URL(`../support/gguf/${file}`, import.meta.url).pathname)).module;

export const { openGguf } = await load("reader.ts");
export const { GGUF_READ_TYPES } = await load("stored-types.ts");
