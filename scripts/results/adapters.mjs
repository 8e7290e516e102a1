// npm run results:adapters [SMOLLM2_FOLDER] [--artifact=FOLDER]: what an adapter beside packed weights costs: passes of
// one row and of 128 rows through SmolLM2-135M at 4 bits and its output head, without one and with additions to every
// matrix of its blocks, of rank 8 and 16, held in 16 and in 32 bits; and the bytes that it takes. Random numbers: their
// values do not matter. Passes take turns in one process, and the fastest tenth of each counts: what others do on the
// machine meets all alike. A minute.
import { mkdirSync } from "node:fs";
import { openArtifact } from "../../dist/artifact/reader.js";
import { adapterFileLayout, memoryWithAdapter } from "../../dist/model/adapter-bytes.js";
import { linearsOf } from "../../dist/model/decoder-spec.js";
import { createExecutor } from "../../dist/runtime/create-executor.js";
import { roundToF16 } from "../../dist/tensor/half.js";
import { Random } from "../../dist/tensor/random.js";
import { flag, layerwise, MIB, save, smollm2Folder, stamp, table } from "./common.mjs";

const OUT = "outputs/results/adapters";
/** Tokens in the cache before a pass. */
const CONTEXT = 128;
const PASSES = { decode: { rows: 1, rounds: 400 }, prompt: { rows: 128, rounds: 30 } };
const VARIANTS = {
  none: null,
  "rank 8, F16": { rank: 8, dtype: "F16" },
  "rank 16, F16": { rank: 16, dtype: "F16" },
  "rank 8, F32": { rank: 8, dtype: "F32" },
  "rank 16, F32": { rank: 16, dtype: "F32" },
};

const artifact = await openArtifact(flag("artifact") ?? (await makeArtifact()));
const { spec, memory } = artifact;
const executor = await createExecutor(artifact, {});

async function makeArtifact() {
  const out = `${OUT}/run`;
  mkdirSync(out, { recursive: true });
  const { document } = await layerwise(
    ...["compress", smollm2Folder(), "--recipe", "uniform", "--budget", "130 MiB", "--context", "2048", "--out", out],
  );
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

const variants = {};
for (const [name, variant] of Object.entries(VARIANTS)) {
  const parts = variant ? partsOf(variant) : [];
  await executor.loadAdapter(name, parts);
  const shape = variant && { dtype: variant.dtype, parts };
  variants[name] = {
    fileBytes: shape ? adapterFileLayout(spec, shape).totalBytes : 0,
    memoryBytes: memoryWithAdapter(memory, spec, shape).modelBytes - memory.modelBytes,
  };
}

const random = new Random(5);
const ids = (count) => Int32Array.from({ length: count }, () => random.nextInt(spec.vocabSize));
const logits = new Float32Array(spec.vocabSize);
const cache = executor.createCache({ maxTokens: 2 * CONTEXT });

/** Milliseconds of a pass of so many rows at the end of the cache, logits of the last included. */
async function pass(count, adapter, position = CONTEXT) {
  cache.truncate(position);
  const embedded = await executor.embed(ids(count));
  const asked = { rows: Int32Array.of(count - 1), into: logits };
  const began = performance.now();
  const spans = [{ cache, position, count }];
  const hidden = await executor.runBlocks(embedded, 0, spec.blocks.length, spans, { adapter, logits: asked });
  const ms = performance.now() - began;
  executor.release(embedded);
  executor.release(hidden);
  return ms;
}

await pass(CONTEXT, "none", 0);
for (const [kind, { rows, rounds }] of Object.entries(PASSES)) {
  const times = Object.fromEntries(Object.keys(VARIANTS).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of Object.keys(VARIANTS)) times[name].push(await pass(rows, name));
  }
  for (const [name, all] of Object.entries(times)) {
    const fastest = all.toSorted((a, b) => a - b)[Math.floor(rounds / 10)];
    variants[name][kind] = { ms: fastest, tokensPerSecond: (1000 * rows) / fastest };
  }
}
const { threads, isa } = executor.info;
await executor.dispose();
await artifact.close();
save("adapters", { weightsBytes: memory.fileBytes, threads, isa, passes: PASSES, variants, ...stamp() });

const rows = Object.entries(variants).map(([name, { memoryBytes, decode, prompt }]) => {
  const slower = (own, plain) => (own === plain ? "" : ` (+ ${(100 * (own.ms / plain.ms - 1)).toFixed(1)} %)`);
  const said = (own, plain) => `${own.ms.toFixed(2)} ms${slower(own, plain)}`;
  const { decode: plain, prompt: plainPrompt } = variants.none;
  return [name, (memoryBytes / MIB).toFixed(2), said(decode, plain), said(prompt, plainPrompt)];
});
const head = ["adapter", "MiB of memory", "a token", `a prompt of ${PASSES.prompt.rows}`];
process.stdout.write(`${table(head, rows)}\n`);
