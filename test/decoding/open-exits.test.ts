import { existsSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { addExits } from "../../src/artifact/add-exits.ts";
import { ArtifactWriter } from "../../src/artifact/writer.ts";
import { openModel } from "../../src/decoding/open-model.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { TINY_SHAPE, tinyContents, tinyTable } from "../artifact/tiny-exits.ts";
import { tinyParts, tinyPlan } from "../artifact/tiny-source.ts";
import { MODELS } from "../cli/command-line.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const stories = path.join(MODELS, "stories260k");

test.skipIf(!existsSync(stories))("openModel loads exits when asked, and none where there are none", async () => {
  const folder = path.join(temporaryFolder(), "made");
  const source = await openCheckpoint(stories);
  const { spec } = source;
  const plan = tinyPlan(spec, ["q8s-g32"]);
  const writer = await ArtifactWriter.open({ folder, key: "k", spec, plan });
  await quantizeModel({ source, quantizer: "nearest", writer });
  await writer.finish(tinyParts(stories, ["tokenizer.json", "tokenizer_config.json"]));
  await source.close();
  await addExits(folder, { table: tinyTable(spec), contents: tinyContents(spec) });
  await using model = await openModel(folder, { threads: 1 });
  const state = await model.executor.embed(Int32Array.of(1, 2));
  await expect(model.executor.logits(state, undefined, { head: "exit.1" })).rejects.toThrow(/exit\.1/);
  const exits = await model.loadExits();
  expect(exits?.table.exits.map(({ blocks }) => blocks)).toEqual([1, 2]);
  expect(await model.loadExits()).toBe(exits);
  const width = TINY_SHAPE.vocabulary === "full" ? spec.vocabSize : TINY_SHAPE.vocabulary.ids + 1;
  expect(await model.executor.logits(state, undefined, { head: "exit.1" })).toHaveLength(2 * width);
  model.executor.release(state);
  await using checkpoint = await openModel(stories, { threads: 1 });
  expect(await checkpoint.loadExits()).toBeNull();
});
