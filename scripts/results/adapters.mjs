// npm run results:adapters [SMOLLM2_FOLDER] [--artifact=FOLDER]: what an adapter beside packed weights costs: decode
// and prompt tokens/s of SmolLM2-135M at 4 bits without one and with additions to every matrix of its blocks, of rank 8
// and 16, held in 16 and in 32 bits; and the bytes that it takes. Random numbers: their values do not matter. Alone on
// the machine.
import { mkdirSync } from "node:fs";
import { openCheckpoint } from "../../dist/compress-entry.js";
import { adapterFileLayout, memoryWithAdapter } from "../../dist/model/adapter-bytes.js";
import { linearsOf } from "../../dist/model/decoder-spec.js";
import { writePeftAdapter } from "../../dist/model/peft/write.js";
import { roundToF16 } from "../../dist/tensor/half.js";
import { Random } from "../../dist/tensor/random.js";
import { flag, layerwise, MIB, save, smollm2Folder, stamp, table } from "./common.mjs";

const OUT = "outputs/results/adapters";
const ROUNDS = 3;
const VARIANTS = {
  none: null,
  "rank 8, F16": { rank: 8, dtype: "F16" },
  "rank 16, F16": { rank: 16, dtype: "F16" },
  "rank 8, F32": { rank: 8, dtype: "F32" },
  "rank 16, F32": { rank: 16, dtype: "F32" },
};

const folder = smollm2Folder();
const artifact = flag("artifact") ?? (await makeArtifact());
const checkpoint = await openCheckpoint(folder);
const { spec } = checkpoint;
await checkpoint.close();

async function makeArtifact() {
  const out = `${OUT}/run`;
  mkdirSync(out, { recursive: true });
  const { document } = await layerwise(
    ...["compress", folder, "--recipe", "uniform", "--budget", "130 MiB", "--context", "2048", "--out", out],
  );
  if (document.error) throw new Error(JSON.stringify(document.error));
  return document.artifact;
}

/** Random additions to every matrix, as numbers of the type. */
function partsOf({ rank, dtype }) {
  const random = new Random(3);
  const normals = (length) =>
    Float32Array.from({ length }, () => {
      const x = 0.01 * random.nextNormal();
      return dtype === "F16" ? roundToF16(x) : x;
    });
  return spec.blocks.flatMap((of, block) =>
    linearsOf(of).map(({ role, linear: { rows, cols } }) => ({
      ...{ block, role, rank, factor: 1, a: normals(rank * cols), b: normals(rows * rank) },
    })),
  );
}

const { document: inspected } = await layerwise("inspect", artifact);
const variants = {};
for (const [name, variant] of Object.entries(VARIANTS)) {
  variants[name] = { fileBytes: 0, memoryBytes: 0, decode: [], prompt: [] };
  if (!variant) continue;
  const parts = partsOf(variant);
  await writePeftAdapter(`${OUT}/${name.replace(", ", "-")}`, spec, parts, { base: null });
  const shape = { dtype: variant.dtype, parts };
  const { modelBytes } = memoryWithAdapter(inspected.memory, spec, shape);
  variants[name].fileBytes = adapterFileLayout(spec, shape).totalBytes;
  variants[name].memoryBytes = modelBytes - inspected.memory.modelBytes;
}
// In turn, so that the machine's moods meet all.
for (let round = 0; round < ROUNDS; round++) {
  for (const name of Object.keys(VARIANTS)) {
    const own = VARIANTS[name] ? ["--adapter", `${OUT}/${name.replace(", ", "-")}`] : [];
    const { document } = await layerwise(
      "bench",
      artifact,
      "--prompt-tokens",
      "128",
      "--generate-tokens",
      "96",
      ...own,
    );
    const [{ generateTokensPerSecond, promptTokensPerSecond }] = document.results;
    variants[name].decode.push(generateTokensPerSecond.median);
    variants[name].prompt.push(promptTokensPerSecond.median);
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
save("adapters", { weightsBytes: inspected.memory.fileBytes, rounds: ROUNDS, variants, ...stamp() });

const rows = Object.entries(variants).map(([name, { memoryBytes, decode, prompt }]) => {
  const beside = (own, plain) => `${median(own).toFixed(1)} (${((100 * median(own)) / median(plain)).toFixed(1)} %)`;
  const { decode: plain, prompt: plainPrompt } = variants.none;
  return [name, (memoryBytes / MIB).toFixed(2), beside(decode, plain), beside(prompt, plainPrompt)];
});
const head = ["adapter", "MiB of memory", "decode tokens/s", "prompt tokens/s"];
process.stdout.write(`${table(head, rows)}\n`);
