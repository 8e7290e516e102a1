import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { sha256Of } from "../../src/artifact/content-hash.ts";
import { addExits } from "../../src/artifact/exits/add.ts";
import { hashedText } from "../../src/artifact/manifest-text.ts";
import { openArtifact } from "../../src/artifact/reader.ts";
import { tinyContents, tinyTable } from "../artifact/exits/tiny-exits.ts";
import { writeByteTokenizer } from "../support/byte-tokenizer.ts";
import { runCheck } from "./run-check.ts";

const FIXTURES = path.resolve("test/fixtures");

/** The families whose small checkpoints have 256 tokens, as many as there are bytes. */
export const FAMILIES: readonly string[] = [
  ...["llama-tied", "llama-yarn-mscale", "llama3-rope", "mistral-window", "neox-parallel", "olmo2", "phi"],
  ...["phi3-longrope", "qwen2-yarn", "qwen3", "gemma3", "granite", "smollm3", "starcoder2"],
];

/** A random checkpoint of a family, with a tokenizer of bytes. */
export function makeCheckpoint(family: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  const source = path.join(FIXTURES, "architectures", family);
  for (const name of readdirSync(source)) {
    if (/^config\.json$|\.safetensors(\.index\.json)?$/.test(name))
      cpSync(path.join(source, name), path.join(folder, name));
  }
  writeByteTokenizer(folder);
}

/** A recipe that takes a fraction of a second on such a checkpoint; its text lies beside it. */
export const RECIPE = {
  name: "tiny",
  calibration: { sources: [{ path: "text.txt", tokens: 64 }], sequenceTokens: 16, seed: 0 },
  score: { scorer: "cosine" },
  plan: { allocator: "lsaq", codecs: [16, "q8s-g32", "q4s-g32"], embedding: "8 bits" },
  quantize: { quantizer: "nearest" },
  context: 128,
};

/** Writes the recipe as people do, and its text. */
function writeRecipe(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const text = readFileSync("calibration-data/tinystories-calibration.txt", "utf8");
  writeFileSync(path.join(folder, "text.txt"), text.slice(0, 2000));
  const file = path.join(folder, "recipe.yaml");
  const lines = Object.entries(RECIPE).map(
    ([key, value]) => `${key}: ${JSON.stringify(value).replaceAll('":', '": ')}`,
  );
  writeFileSync(file, `# A recipe\n${lines.join("\n")}\n`);
  return file;
}

/** Arguments that compress the checkpoint into the run folder. */
export function compressArguments(checkpoint: string, out: string, recipe: string): string[] {
  return ["compress", checkpoint, "--out", out, "--recipe", recipe, "--budget", "2 MiB", "--threads", "1", "--json"];
}

/** A checkpoint `ckpt`, a recipe and a whole run folder `run` of it in a folder. */
export async function makeRun(folder: string): Promise<void> {
  const checkpoint = path.join(folder, "ckpt");
  makeCheckpoint("llama-tied", checkpoint);
  const recipe = writeRecipe(folder);
  const { code, stderr } = await runCheck(compressArguments(checkpoint, path.join(folder, "run"), recipe));
  if (code !== 0) throw new Error(`the run to be changed was not made: ${stderr}`);
}

/** The run's artifact alone, with two early exits of random numbers. */
export async function makeArtifact(folder: string): Promise<void> {
  await makeRun(`${folder}-run`);
  cpSync(path.join(`${folder}-run`, "run", "artifact"), folder, { recursive: true });
  rmSync(`${folder}-run`, { recursive: true });
  const artifact = await openArtifact(folder);
  await artifact.close();
  const { spec } = artifact;
  const table = tinyTable(spec);
  const levels = table.levels.map((level) => ({ ...level, report: { ...level.report, meanBlocks: 2 } }));
  await addExits(folder, { table: { ...table, levels }, contents: tinyContents(spec), overBudget: true });
}

/** The start of a manifest, with its own hash. */
const OWN_HASH = /^(\{\s*"manifestSha256":\s*")[0-9a-f]{64}"/;

/** Makes a manifest's own hash that of its text, whatever that says. */
export function signText(text: string): string {
  const blank = text.replace(OWN_HASH, `$1${"0".repeat(64)}"`);
  return blank.replace(OWN_HASH, `$1${sha256Of(Buffer.from(blank))}"`);
}

/** Makes a file's size and hash in the manifest those of what lies there: damage that hashes do not show. */
export function signFile(folder: string, name: string): void {
  const file = path.join(folder, "manifest.json");
  const { manifestSha256: _, ...fields } = JSON.parse(readFileSync(file, "utf8"));
  const bytes = readFileSync(path.join(folder, name));
  const record = fields.files.find((candidate: { name: string }) => candidate.name === name);
  Object.assign(record, { bytes: bytes.length, sha256: sha256Of(bytes) });
  writeFileSync(file, hashedText(fields).text);
}
