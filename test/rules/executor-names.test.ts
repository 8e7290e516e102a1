import { expect, it } from "vitest";
import { EXECUTOR_KINDS } from "../../src/runtime/executors.ts";
import { SOURCE_FILES, textOf } from "./source-files.ts";

/** An executor's name stands in its own folder and as a key of the table; everybody else asks for traits. */
const homeOf = (file: string, kind: string) => file === "runtime/executors.ts" || file.startsWith(`runtime/${kind}/`);
/** Ways to multiply packed matrices on TensorFlow.js, one of which is called as the engine that it calls. */
const OTHER_MEANINGS = ["runtime/tfjs/packed-products.ts", "runtime/tfjs/packed-matmul.ts"];

it.each(EXECUTOR_KINDS)("nobody outside its folder knows %s by name", (kind) => {
  const name = new RegExp(`"${kind}"`);
  const found = SOURCE_FILES.filter(
    (file) => !homeOf(file, kind) && !OTHER_MEANINGS.includes(file) && name.test(textOf(file)),
  );
  expect(found).toEqual([]);
});
