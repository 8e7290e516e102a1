import { cpSync, rmSync } from "node:fs";
import path from "node:path";
import { addAdapter } from "../../src/artifact/adapter/add.ts";
import { openArtifact } from "../../src/artifact/reader.ts";
import type { DecoderSpec } from "../../src/model/decoder-spec.ts";
import { readPeftAdapter } from "../../src/model/peft/read.ts";
import { writePeftAdapter } from "../../src/model/peft/write.ts";
import { randomParts } from "../support/adapters.ts";
import { makeRun, signFile, signText } from "./bases.ts";
import { dictionaryOf, inspectOf, json, runOf } from "./model-checks.ts";
import { jsonMutator, type Mutate, safetensorsMutator } from "./mutate-files.ts";
import type { Check } from "./run-check.ts";
import type { Subject } from "./subject.ts";
import { treeOf } from "./tree.ts";

const mutateWeights = safetensorsMutator({ keys: ["dtype", "shape", "data_offsets", "__metadata__"], parts: [] });

/** A run's artifact alone, without exits. */
async function makeArtifact(folder: string): Promise<DecoderSpec> {
  const run = `${folder}-run`;
  await makeRun(run);
  cpSync(path.join(run, "run", "artifact"), folder, { recursive: true });
  rmSync(run, { recursive: true });
  const artifact = await openArtifact(folder);
  await artifact.close();
  return artifact.spec;
}

const peft: Subject = {
  name: "peft",
  prepare: async (root) => {
    const artifact = path.join(root, "artifact");
    const folder = path.join(root, "adapter");
    const spec = await makeArtifact(artifact);
    await writePeftAdapter(folder, spec, randomParts(spec, { has: (block) => block === 0 }), { base: "a/model" });
    const config = json(path.join(folder, "adapter_config.json"));
    const more = { rank_pattern: { "layers.0.mlp.up_proj": 3 }, alpha_pattern: { q_proj: 4 }, use_dora: true };
    const mutate = jsonMutator(dictionaryOf([config, more], [treeOf(config), treeOf(more)]));
    const read: Check = {
      name: `readPeftAdapter ${folder}`,
      run: async () => void (await readPeftAdapter(folder, spec)),
    };
    const run = ["run", artifact, "One day", "--max-tokens", "1", "--adapter", folder, "--threads", "1"];
    return [
      {
        folder,
        targets: [
          { file: "adapter_config.json", mutate },
          { file: "adapter_model.safetensors", mutate: mutateWeights },
        ],
        checks: [read, run],
      },
    ];
  },
};

const artifactAdapter: Subject = {
  name: "artifact-adapter",
  prepare: async (root) => {
    const folder = path.join(root, "artifact");
    const spec = await makeArtifact(folder);
    const parts = randomParts(spec, { has: (block) => block === 0 });
    await addAdapter(folder, { parts, dtype: "F16", origin: { kind: "test" }, overBudget: true });
    const document = json(path.join(folder, "manifest.json")) as { adapter: unknown };
    const mutateTable = jsonMutator(dictionaryOf([document.adapter]));
    const mutate: Mutate = (bytes, random) => {
      const { adapter, ...others } = JSON.parse(Buffer.from(bytes).toString("utf8"));
      const changed = Buffer.from(mutateTable(Buffer.from(JSON.stringify(adapter)), random)).toString("utf8");
      return Buffer.from(signText(`${JSON.stringify(others).slice(0, -1)},"adapter":${changed}}`));
    };
    const file = "adapter.safetensors";
    return [
      {
        folder,
        targets: [
          { file, mutate: mutateWeights, settle: (where) => signFile(where, file) },
          { file: "manifest.json", mutate },
        ],
        checks: [inspectOf(folder), ["verify", folder], runOf(folder)],
      },
    ];
  },
};

/** Adapters, by themselves and in an artifact. */
export const ADAPTER_SUBJECTS: readonly Subject[] = [peft, artifactAdapter];
