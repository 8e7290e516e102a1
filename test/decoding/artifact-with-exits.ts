import { addExits } from "../../src/artifact/exits/add.ts";
import { ArtifactWriter } from "../../src/artifact/writer.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import type { DecoderSpec } from "../../src/model/decoder-spec.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { tinyContents, tinyTable } from "../artifact/exits/tiny-exits.ts";
import { tinyParts, tinyPlan } from "../artifact/tiny-source.ts";
import { STORIES } from "../support/fixtures.ts";

/** Writes an artifact of a checkpoint that can tell stories, without exits; gives the model's spec. */
export function makeStories(folder: string): Promise<DecoderSpec> {
  return makeArtifactOf(STORIES, folder, ["tokenizer.json", "tokenizer_config.json"]);
}

/** Writes an artifact of a checkpoint in 8 bits, with those of its files; gives the model's spec. */
export async function makeArtifactOf(
  checkpoint: string,
  folder: string,
  files: readonly string[] = [],
  maxFileBytes?: number,
): Promise<DecoderSpec> {
  const source = await openCheckpoint(checkpoint);
  try {
    const { spec } = source;
    const plan = tinyPlan(spec, ["q8s-g32"], maxFileBytes);
    const writer = await ArtifactWriter.open({ folder, key: "k", spec, plan, maxFileBytes });
    await quantizeModel({ source, maths: plainMaths, quantizer: "nearest", writer });
    await writer.finish(tinyParts(checkpoint, files));
    return spec;
  } finally {
    await source.close();
  }
}

/** The same with random exits after one and two blocks, at which every token leaves whose answer is not the tail's. */
export async function makeStoriesWithExits(folder: string): Promise<DecoderSpec> {
  const spec = await makeStories(folder);
  const table = tinyTable(spec);
  const levels = table.levels.map((level) => ({ ...level, thresholds: level.thresholds.map(() => 100) }));
  await addExits(folder, { table: { ...table, levels }, contents: tinyContents(spec) });
  return spec;
}
