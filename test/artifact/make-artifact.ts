import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ArtifactWriter, type WrittenArtifact } from "../../src/artifact/writer.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { quantizeModel } from "../../src/quantization/quantize-model.ts";
import { tinyParts, tinyPlan, tinySource, tinySpec } from "./tiny-source.ts";

export interface MakeOptions {
  readonly tied?: boolean;
  readonly codecs?: readonly string[];
  readonly maxFileBytes?: number;
  readonly overwrite?: boolean;
  readonly key?: string;
}

/** Small enough that the tiny model has several weights files. */
export const SMALL_FILES = 60_000;

/** What a writer of the tiny model is opened with. */
export function writerOptions(
  folder: string,
  { tied = false, codecs, maxFileBytes, overwrite, key = "k" }: MakeOptions = {},
) {
  const spec = tinySpec(tied);
  return { folder, key, spec, plan: tinyPlan(spec, codecs, maxFileBytes), overwrite, maxFileBytes };
}

/** Stands for a tokenizer: files that are copied and hashed. */
export function tokenizerFolder(folder: string): readonly string[] {
  writeFileSync(path.join(folder, "tokenizer.json"), '{"model":{}}\n');
  writeFileSync(path.join(folder, "tokenizer_config.json"), "{}\n");
  return ["tokenizer_config.json", "tokenizer.json"];
}

/** Writes the tiny model's artifact to `<base>/<name>`. */
export async function makeArtifact(base: string, name: string, options: MakeOptions = {}): Promise<WrittenArtifact> {
  const settings = writerOptions(path.join(base, name), options);
  const writer = await ArtifactWriter.open(settings);
  await quantizeModel({ source: tinySource(settings.spec), maths: plainMaths, quantizer: "nearest", writer });
  return writer.finish(tinyParts(base, tokenizerFolder(base)));
}

/** sha256 of every file of a folder, by name. */
export function folderHashes(folder: string): Record<string, string> {
  const hash = (name: string) =>
    createHash("sha256")
      .update(readFileSync(path.join(folder, name)))
      .digest("hex");
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, hash(name)]),
  );
}
