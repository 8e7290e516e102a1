import path from "node:path";
import { expect, test } from "vitest";
import { openModel } from "../../../src/decoding/open-model.ts";
import { TINY_SHAPE } from "../../artifact/exits/tiny-exits.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { STORIES } from "../../support/fixtures.ts";
import { makeStoriesWithExits } from "../artifact-with-exits.ts";

test("openModel loads exits when asked, and none where there are none", async () => {
  const folder = path.join(temporaryFolder(), "made");
  const spec = await makeStoriesWithExits(folder);
  await using model = await openModel(folder, { threads: 1 });
  const state = await model.executor.embed(Int32Array.of(1, 2));
  await expect(model.executor.logits(state, undefined, { head: "exit.1" })).rejects.toThrow(/exit\.1/);
  const exits = await model.loadExits();
  expect(exits?.table.exits.map(({ blocks }) => blocks)).toEqual([1, 2]);
  expect(await model.loadExits()).toBe(exits);
  const width = TINY_SHAPE.vocabulary === "full" ? spec.vocabSize : TINY_SHAPE.vocabulary.ids + 1;
  expect(await model.executor.logits(state, undefined, { head: "exit.1" })).toHaveLength(2 * width);
  model.executor.release(state);
  await using checkpoint = await openModel(STORIES, { threads: 1 });
  expect(await checkpoint.loadExits()).toBeNull();
});
