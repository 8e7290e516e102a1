import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { findModel } from "../../src/decoding/find-model.ts";
import { UserError } from "../../src/errors.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const root = temporaryFolder();

/** A folder of that name with files of little content. */
function folderOf(name: string, ...files: string[]): string {
  const folder = path.join(root, name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), "{}");
  }
  return folder;
}

async function refusal(target: string): Promise<string> {
  const error = await findModel(target).then(
    () => new Error("a model was found"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError)) throw error;
  return `${error.code} ${error.message.replace(target, "T")}`;
}

describe("findModel", () => {
  test("tells an artifact, one inside of a run folder, and a checkpoint", async () => {
    const both = folderOf("both", "manifest.json", "config.json");
    expect(await findModel(both)).toEqual({ kind: "artifact", folder: both });
    const run = folderOf("run", "artifact/manifest.json");
    expect(await findModel(run)).toEqual({ kind: "artifact", folder: path.join(run, "artifact") });
    const checkpoint = folderOf("checkpoint", "config.json");
    expect(await findModel(checkpoint)).toEqual({ kind: "checkpoint", folder: checkpoint });
  });

  test("takes an adapter's folder for a checkpoint, which opening refuses by its name", async () => {
    const adapter = folderOf("adapter", "adapter_config.json", "adapter_model.safetensors");
    expect(await findModel(adapter)).toEqual({ kind: "checkpoint", folder: adapter });
  });

  test.each(["model.gguf", "pytorch_model.bin", "model.onnx"])(
    "names %s in a folder without a config",
    async (name) => {
      expect(await refusal(folderOf(`with-${name}`, name))).toBe(
        `MODEL_NOT_FOUND T: expected an artifact (manifest.json) or a checkpoint (config.json), found ${name}`,
      );
    },
  );

  test("names a file that stands where a folder is expected", async () => {
    const file = path.join(root, "model");
    for (const [content, what] of [
      ["GGUF\u0003", "a GGUF file"],
      ["PK\u0003\u0004", "a zip archive, as PyTorch's pickles are"],
      ["<html>", "a web page"],
    ]) {
      writeFileSync(file, content);
      expect(await refusal(file)).toBe(
        `FOREIGN_FILE T: expected the folder of a checkpoint or an artifact, found ${what}`,
      );
    }
    writeFileSync(file, "something else");
    expect(await refusal(file)).toMatch(/^MODEL_NOT_FOUND T: .*found a file$/);
    expect(await refusal(path.join(root, "nowhere"))).toMatch(/^MODEL_NOT_FOUND T: .*found no such folder$/);
    expect(await refusal(folderOf("empty"))).toMatch(/^MODEL_NOT_FOUND T: .*found neither$/);
  });
});
