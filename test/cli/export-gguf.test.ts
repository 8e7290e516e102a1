import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { makeArtifact } from "../fuzz/bases.ts";
import { openGguf } from "../support/gguf/reader.ts";
import { commandLine } from "./command-line.ts";

const folder = path.join(temporaryFolder(), "artifact");

it("export-gguf takes of an artifact's folder the tokenizer files that the manifest lists, as run does", async () => {
  await makeArtifact(folder);
  writeFileSync(path.join(folder, "chat_template.jinja"), "{{ 'a stranger' }}");
  const file = path.join(folder, "out.gguf");
  const { code, stderr } = await commandLine(["export-gguf", folder, file]);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const { metadata, close } = await openGguf(file);
  await close();
  expect(metadata.get("tokenizer.ggml.model")).toBeDefined();
  expect(metadata.get("tokenizer.chat_template")).toBeUndefined();
});
