import { expect, it } from "vitest";
import { CODEC_IDS } from "../../src/codecs/index.ts";
import { SOURCE_FILES, textOf } from "./source-files.ts";

/** What looks like such a list and is none. */
const OTHERS: readonly string[] = [
  // Types of the KV cache, and the same at the border to C++.
  "model/kv-type.ts",
  "native/addon.ts",
  // What a recipe tries where it names no codecs.
  "planning/problem/settings.ts",
];

const ID = `"(?:${CODEC_IDS.join("|")}|q\\d[sat])"`;
/** Two ids in a row, as in an array or a union. */
const LIST = new RegExp(`${ID}\\s*[,|]\\s*${ID}`);

it("no file outside src/codecs lists codecs", () => {
  expect(LIST.test('["q8s-g32", "q4s-g32"]')).toBe(true);
  const listing = SOURCE_FILES.filter((file) => !file.startsWith("codecs/") && LIST.test(textOf(file)));
  expect(listing).toEqual(OTHERS);
});
