import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { readSourceText } from "../../src/calibration/documents.ts";
import { loadRecipe } from "../../src/pipeline/recipe.ts";
import { loadDeviceProfile } from "../../src/planning/budget/device-file.ts";
import { openGguf } from "../support/gguf/reader.ts";
import { ADAPTER_SUBJECTS } from "./adapter-subjects.ts";
import { ARTIFACT_SUBJECTS } from "./artifact-subjects.ts";
import { compressArguments, makeCheckpoint, makeRun, RECIPE } from "./bases.ts";
import { CHECKPOINT_SUBJECTS } from "./checkpoint-subjects.ts";
import { dictionaryOf, inspectOf, json } from "./model-checks.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { jsonLinesMutator, jsonMutator, mutateGguf, yamlMutator } from "./mutate-files.ts";
import { type Check, runCheck } from "./run-check.ts";
import type { Subject } from "./subject.ts";
import { treeOf } from "./tree.ts";

const recipe: Subject = {
  name: "recipe",
  prepare: async (root) => {
    await makeRun(root);
    const shipped = ["edge-llm", "max-quality", "fast"].map((name) => `pipelines/${name}.yaml`);
    const documents = await Promise.all(shipped.map(async (name) => (await loadRecipe(name)).recipe));
    const parts = documents.flatMap((document) => Object.values(document).map(treeOf));
    const mutate = yamlMutator(RECIPE, dictionaryOf([RECIPE, ...documents], parts));
    const [checkpoint, file, scores] = ["ckpt", "recipe.yaml", "run/scores.json"].map((name) => path.join(root, name));
    const plan = ["plan", checkpoint, "--budget", "2 MiB", "--recipe", file, "--scores", scores, "--json"];
    return [{ folder: root, targets: [{ file: "recipe.yaml", mutate }], checks: [plan] }];
  },
};

const device: Subject = {
  name: "device",
  prepare: async (root) => {
    const checkpoint = path.join(root, "ckpt");
    makeCheckpoint("llama-tied", checkpoint);
    cpSync("pipelines/devices/tiny-160mb.yaml", path.join(root, "device.yaml"));
    const file = path.join(root, "device.yaml");
    const document = await loadDeviceProfile(file);
    const mutate = yamlMutator({ ...document, memory: "2 GiB - 76 MiB" }, dictionaryOf([document]));
    const plan = ["plan", checkpoint, "--budget", file, "--recipe", "uniform", "--context", "32", "--json"];
    return [{ folder: root, targets: [{ file: "device.yaml", mutate }], checks: [plan] }];
  },
};

const gguf: Subject = {
  name: "gguf",
  prepare: async (root) => {
    const folder = path.join(root, "ckpt");
    makeCheckpoint("llama-tied", folder);
    const file = path.join(folder, "model.gguf");
    const made = await runCheck(["export-gguf", folder, file, "--no-tokenizer"]);
    if (made.code !== 0) throw new Error(`no GGUF file was made: ${made.stderr}`);
    rmSync(path.join(folder, "model.safetensors"));
    const named = path.join(root, "named");
    cpSync(folder, named, { recursive: true });
    cpSync(file, path.join(named, "model.safetensors"));
    rmSync(path.join(named, "model.gguf"));
    const read: Check = { name: `openGguf ${file}, all tensors`, run: () => readAll(file) };
    return [
      {
        folder,
        targets: [{ file: "model.gguf", mutate: mutateGguf }],
        checks: [inspectOf(folder), inspectOf(file), read],
        refused: true,
      },
      {
        folder: named,
        targets: [{ file: "model.safetensors", mutate: mutateGguf }],
        checks: [inspectOf(named), inspectOf(path.join(named, "model.safetensors"))],
        refused: true,
      },
    ];
  },
};

async function readAll(file: string): Promise<void> {
  const open = await openGguf(file);
  try {
    for (const name of open.tensors.keys()) await open.readValues(name);
  } finally {
    await open.close();
  }
}

const steps: Subject = {
  name: "steps",
  prepare: async (root) => {
    await makeRun(root);
    const folder = path.join(root, "run");
    const files = ["artifact", "calibration", "options", "plan", "scores", "weights"].map((name) => `${name}.json`);
    const documents = files.map((file) => json(path.join(folder, file)));
    const mutate = jsonMutator(dictionaryOf(documents, documents.map(treeOf)));
    const arguments_ = compressArguments(path.join(root, "ckpt"), folder, path.join(root, "recipe.yaml"));
    const checks: Check[] = [
      ["plan", folder, "--json"],
      ["plan", folder, "--scores", path.join(folder, "scores.json"), "--json"],
      inspectOf(folder),
      arguments_,
    ];
    return [{ folder, targets: files.map((file) => ({ file, mutate })), checks, changes: true }];
  },
};

const CONVERSATION = { messages: [{ role: "user", content: "Hello" }] };

const calibration: Subject = {
  name: "calibration",
  prepare: async (root) => {
    const lines = [{ text: "One day." }, CONVERSATION, { text: "Two days.", messages: [] }, { text: "Three." }];
    const files = new Map([
      ["text.jsonl", lines.map((line) => JSON.stringify(line)).join("\n")],
      ["list.json", JSON.stringify(lines)],
      ["text.txt", "Once upon a time there was a lake.\n\nIt was deep.\n"],
      ["table.csv", 'text,n\n"One, two",3\nFour,5\n'],
      ["table.tsv", "text\tn\nOne\t2\n"],
    ]);
    mkdirSync(root, { recursive: true });
    for (const [name, text] of files) writeFileSync(path.join(root, name), text);
    const mutateJson = jsonMutator(dictionaryOf(lines));
    const mutateLines = jsonLinesMutator(dictionaryOf(lines));
    const mutateFor = (name: string) =>
      name.endsWith(".jsonl") ? mutateLines : name.endsWith(".json") ? mutateJson : mutateBytes;
    const render = () => "rendered";
    return [...files.keys()].map((name) => {
      const file = path.join(root, name);
      const read: Check = { name: `readSourceText ${file}`, run: () => readSourceText(file, render) };
      const refused = /\.[ct]sv$/.test(name);
      return { folder: root, targets: [{ file: name, mutate: mutateFor(name) }], checks: [read], refused };
    });
  },
};

/** Everything that is fuzzed, in the order of the table. */
export const SUBJECTS: readonly Subject[] = [
  ...CHECKPOINT_SUBJECTS,
  ...ARTIFACT_SUBJECTS,
  ...ADAPTER_SUBJECTS,
  ...[recipe, device, gguf, steps, calibration],
];
