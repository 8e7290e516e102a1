import path from "node:path";
import { makeArtifact, signFile, signText } from "./bases.ts";
import { dictionaryOf, inspectOf, json, runOf } from "./model-checks.ts";
import { jsonMutator, type Mutate, safetensorsMutator } from "./mutate-files.ts";
import type { Base, Subject, Target } from "./subject.ts";
import { treeOf } from "./tree.ts";

/** Three of four cases show hashes that fit. */
const mostlySigned =
  (name: string): Target["settle"] =>
  (folder, random) => {
    if (random.nextInt(4) > 0) signFile(folder, name);
  };

async function artifactBase(root: string, targets: readonly Target[]): Promise<Base> {
  const folder = path.join(root, "artifact");
  await makeArtifact(folder);
  const early = runOf(folder, { kind: "early-exit", epsilon: 0.8 });
  return { folder, targets, checks: [inspectOf(folder), ["verify", folder], runOf(folder), early] };
}

const artifactWeights: Subject = {
  name: "artifact-weights",
  prepare: async (root) => {
    const file = "weights-00001-of-00001.safetensors";
    const mutate = safetensorsMutator({ keys: ["dtype", "shape", "data_offsets", "__metadata__"], parts: [] });
    return [await artifactBase(root, [{ file, mutate, settle: mostlySigned(file) }])];
  },
};

const manifest: Subject = {
  name: "manifest",
  prepare: async (root) => {
    const base = await artifactBase(root, []);
    const document = json(path.join(base.folder, "manifest.json")) as Record<string, unknown>;
    const inner = jsonMutator(dictionaryOf([document], Object.values(document).map(treeOf)));
    const mutate: Mutate = (bytes, random) => {
      const changed = Buffer.from(inner(bytes, random));
      return random.nextInt(8) === 0 ? changed : Buffer.from(signText(changed.toString("utf8")));
    };
    return [{ ...base, targets: [{ file: "manifest.json", mutate }] }];
  },
};

const exits: Subject = {
  name: "exits",
  prepare: async (root) => {
    const base = await artifactBase(root, []);
    const document = json(path.join(base.folder, "manifest.json")) as { exits: unknown };
    const mutate = safetensorsMutator({ keys: ["dtype", "shape", "data_offsets"], parts: [] });
    const mutateExits = jsonMutator(dictionaryOf([document.exits]));
    const mutateTable: Mutate = (bytes, random) => {
      const whole = Buffer.from(bytes).toString("utf8");
      const { exits: table, ...others } = JSON.parse(whole);
      const changed = Buffer.from(mutateExits(Buffer.from(JSON.stringify(table)), random)).toString("utf8");
      return Buffer.from(signText(`${JSON.stringify(others).slice(0, -1)},"exits":${changed}}`));
    };
    return [
      {
        ...base,
        targets: [
          { file: "exits.safetensors", mutate, settle: mostlySigned("exits.safetensors") },
          { file: "manifest.json", mutate: mutateTable },
        ],
      },
    ];
  },
};

/** The files of an artifact. */
export const ARTIFACT_SUBJECTS: readonly Subject[] = [artifactWeights, manifest, exits];
