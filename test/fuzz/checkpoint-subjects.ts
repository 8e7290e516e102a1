import path from "node:path";
import { FAMILIES, makeCheckpoint } from "./bases.ts";
import { pick, TEMPLATES } from "./hostile-values.ts";
import { chatOf, dictionaryOf, inspectOf, json, runOf } from "./model-checks.ts";
import { mutateBytes } from "./mutate-bytes.ts";
import { jsonMutator, type Mutate, safetensorsMutator } from "./mutate-files.ts";
import type { Check } from "./run-check.ts";
import type { Subject, Target } from "./subject.ts";
import { makeTokenizers, PATTERN_PARTS, TOKENIZER_PARTS } from "./tokenizer-bases.ts";
import { treeOf } from "./tree.ts";

const config: Subject = {
  name: "config",
  prepare: async (root) => {
    const folders = FAMILIES.map((family) => path.join(root, family));
    for (const [i, folder] of folders.entries()) makeCheckpoint(FAMILIES[i], folder);
    const configs = folders.map((folder) => json(path.join(folder, "config.json")));
    const mutate = jsonMutator(dictionaryOf(configs, configs.map(treeOf)));
    return folders.map((folder) => ({
      folder,
      targets: [{ file: "config.json", mutate }],
      checks: [
        inspectOf(folder),
        runOf(folder),
        ["plan", folder, "--budget", "16 MiB", "--recipe", "uniform", "--json"],
      ],
    }));
  },
};

const tokenizer: Subject = {
  name: "tokenizer",
  prepare: async (root) => {
    const folders = makeTokenizers(root);
    const documents = folders.map((folder) => json(path.join(folder, "tokenizer.json")));
    const mutateJson = jsonMutator(dictionaryOf(documents, TOKENIZER_PARTS));
    const mutate: Mutate = (bytes, random) => {
      if (random.nextInt(8) > 0) return mutateJson(bytes, random);
      const { field, part } = pick(random, PATTERN_PARTS);
      return Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(bytes).toString("utf8")), [field]: part }));
    };
    return folders.map((folder, i) => ({
      folder,
      targets: [{ file: "tokenizer.json", mutate }],
      checks: [
        inspectOf(folder),
        runOf(folder),
        ...(i === folders.length - 1 ? [["export-gguf", folder, path.join(root, "out.gguf")]] : []),
      ],
    }));
  },
};

/** Templates of the dictionary in place of a config's, or pieces of them inside of it. */
const mutateTemplate: Mutate = (bytes, random) => {
  const hostile = pick(random, TEMPLATES);
  const kind = random.nextInt(4);
  if (kind === 0) return Buffer.from(hostile);
  if (kind === 1) return mutateBytes(bytes, random);
  const text = Buffer.from(bytes).toString("utf8");
  const place = random.nextInt(text.length + 1);
  if (kind === 2) return Buffer.from(text.slice(0, place) + hostile + text.slice(place));
  const marks = [
    "{%",
    "%}",
    "{{",
    "}}",
    "-",
    "(",
    ")",
    "[",
    "]",
    "'",
    "|",
    ".",
    "if",
    "for",
    "set",
    "endif",
    "endfor",
    "loop",
    "0",
  ];
  return Buffer.from(text.slice(0, place) + pick(random, marks) + text.slice(place + random.nextInt(4)));
};

const tokenizerConfig: Subject = {
  name: "tokenizer-config",
  prepare: async (root) => {
    const folders = makeTokenizers(root);
    const files = ["tokenizer_config.json", "special_tokens_map.json", "generation_config.json", "added_tokens.json"];
    const documents = files.map((file) => json(path.join(folders[0], file)));
    const mutate = jsonMutator(dictionaryOf(documents, [...documents.map(treeOf), ...TEMPLATES]));
    const targets: Target[] = [
      ...files.map((file) => ({ file, mutate })),
      { file: "tokenizer_config.json", mutate },
      { file: "chat_template.jinja", mutate: mutateTemplate },
      { file: "chat_template.jinja", mutate: mutateTemplate },
    ];
    return folders.map((folder) => ({
      folder,
      targets,
      checks: [inspectOf(folder), runOf(folder), chatOf(folder)],
    }));
  },
};

const weights: Subject = {
  name: "weights",
  prepare: async (root) => {
    const [single, sharded] = ["llama-tied", "llama-f16-sharded"].map((family) => path.join(root, family));
    makeCheckpoint("llama-tied", single);
    makeCheckpoint("llama-f16-sharded", sharded);
    const mutate = safetensorsMutator({
      keys: ["dtype", "shape", "data_offsets", "__metadata__", "lm_head.weight"],
      parts: [],
    });
    const index = "model.safetensors.index.json";
    const mutateIndex = jsonMutator(dictionaryOf([json(path.join(sharded, index))]));
    const shard = { file: "model-00002-of-00003.safetensors", mutate };
    const checksOf = (folder: string): Check[] => [inspectOf(folder), runOf(folder)];
    return [
      {
        folder: single,
        targets: [{ file: "model.safetensors", mutate }],
        checks: [...checksOf(single), inspectOf(path.join(single, "model.safetensors"))],
      },
      { folder: sharded, targets: [{ file: index, mutate: mutateIndex }, shard], checks: checksOf(sharded) },
    ];
  },
};

/** The files of a checkpoint. */
export const CHECKPOINT_SUBJECTS: readonly Subject[] = [config, tokenizer, tokenizerConfig, weights];
