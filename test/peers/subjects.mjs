// The models that both sides run: an artifact, and a GGUF file with the same numbers tensor by tensor, made where they
// are missing.
import { existsSync, mkdirSync, statSync } from "node:fs";
import path from "node:path";
import { layerwise, smollm2Folder } from "../../scripts/results/common.mjs";

const OUT = "outputs/peers";
/** More than any of these models takes: the only codec of the recipe is chosen. */
const BUDGET = "8 GiB";

/** What can be measured, by the name that `--only` takes. */
export const SUBJECTS = {
  smollm2_q4_0: { title: "SmolLM2-135M Q4_0", make: () => smollm2("q4_0") },
  smollm2_q8_0: { title: "SmolLM2-135M Q8_0", make: () => smollm2("q8_0") },
  "llama-1.1b": { title: "1.1B shape Q4_0", make: () => synthetic("llama-1.1b") },
};

async function smollm2(type) {
  const out = `${OUT}/smollm2-${type}`;
  const recipe = ["--recipe", `test/peers/recipes/${type}.yaml`];
  await layerwise("compress", smollm2Folder(), "--budget", BUDGET, ...recipe, "--out", out);
  return exported(`${out}/artifact`, `smollm2-${type}`, []);
}

async function synthetic(shape) {
  const measured = ["--prompt-tokens", "1", "--generate-tokens", "2", "--repeats", "1", "--warmup", "0"];
  const { document } = await layerwise("bench", "--synthetic", shape, ...measured);
  return exported(document.results[0].model, shape, ["--no-tokenizer"]);
}

/** The artifact and its GGUF file, which is written anew where it is older. */
async function exported(artifact, name, flags) {
  const gguf = `${OUT}/${name}.gguf`;
  mkdirSync(OUT, { recursive: true });
  const manifest = path.join(artifact, "manifest.json");
  if (!existsSync(gguf) || statSync(gguf).mtimeMs < statSync(manifest).mtimeMs) {
    await layerwise("export-gguf", artifact, gguf, ...flags);
  }
  return { artifact, gguf };
}
