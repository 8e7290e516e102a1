// npm run results:schedule [SMOLLM2_FOLDER] [--artifact=FOLDER,…]: the settings that `layerwise schedule` chooses
// beside the best of all settings, every one of them run, in turns: the same turn of a prompt and generated tokens.
// Alone on the machine.
import { existsSync } from "node:fs";
import path from "node:path";
import { openArtifact } from "../../dist/artifact/reader.js";
import { readPrompts } from "../../dist/bench/drafters/prompts.js";
import { chooseDecode } from "../../dist/decoding/choose-decode.js";
import { generate } from "../../dist/decoding/generate.js";
import { runMemory } from "../../dist/decoding/memory-limit.js";
import { openModel } from "../../dist/decoding/open-model.js";
import { flag, layerwise, MIB, save, smollm2Folder, stamp, table } from "./common.mjs";
import { recipeFile, shippedTexts } from "./recipe-file.mjs";

const OUT = "outputs/results/schedule";
const ROUNDS = 6;
const TURN = { promptTokens: 128, generateTokens: 24 };
const THREADS = [1, 2];
const CHUNKS = [64, 128];

async function smollm2Artifact() {
  if (existsSync(`${OUT}/smollm2/artifact/manifest.json`)) return `${OUT}/smollm2/artifact`;
  const calibration = shippedTexts(["pride-and-prejudice.txt"], 512);
  const plan = { allocator: "uniform", codecs: ["q4s-g32"], embedding: "8 bits" };
  const recipe = recipeFile(`${OUT}/smollm2.yaml`, { name: "u4", calibration, plan, context: 512 });
  await layerwise(...["compress", smollm2Folder(), "--recipe", recipe, "--budget", "4 GiB", "--out", `${OUT}/smollm2`]);
  return `${OUT}/smollm2/artifact`;
}

/** Every combination of settings that keeps the text, within the limit. */
async function grid(artifact, limitBytes, decodes) {
  const open = await openArtifact(artifact, { mapFile: null });
  const fits = (promptChunk, place) => {
    if (limitBytes === null || place === "streamed") return true;
    const memory = runMemory(open, { executor: "native" }, open.memory.kvType, promptChunk);
    return memory.besideBytes + memory.weightBytes <= limitBytes;
  };
  const places = limitBytes === null ? ["mapped", "memory"] : ["mapped", "memory", "streamed"];
  const all = THREADS.flatMap((threads) =>
    CHUNKS.flatMap((promptChunk) =>
      places.flatMap((residency) => decodes.map((decode) => ({ threads, promptChunk, residency, decode }))),
    ),
  ).filter(({ promptChunk, residency }) => fits(promptChunk, residency));
  await open.close();
  return all;
}

/** Seconds of one turn of an open model. */
async function turn(model, decode, prompt) {
  const session = model.createSession();
  const began = performance.now();
  const options = { maxTokens: TURN.generateTokens, ignoreEos: true, decode };
  for await (const _ of generate(session, model.tokenizer, prompt, options));
  const seconds = (performance.now() - began) / 1000;
  session.close();
  return seconds;
}

/** The fastest turn of settings, opened together and measured in turns: other programs on the machine only add. */
async function measureAll(artifact, settings, limitBytes) {
  const beds = [];
  for (const { threads, promptChunk, residency, decode } of settings) {
    const memoryLimitBytes = residency === "streamed" ? limitBytes : undefined;
    const options = { executor: "native", threads, promptChunk, weights: residency, memoryLimitBytes };
    const model = await openModel(artifact, options);
    beds.push({ model, decode: await chooseDecode(model, { kind: decode.kind, ...decode.options }), seconds: [] });
  }
  const { ids } = await readPrompts(beds[0].model.tokenizer, { count: 1, maxTokens: TURN.promptTokens });
  for (let round = 0; round <= ROUNDS; round++) {
    for (const bed of beds) {
      const seconds = await turn(bed.model, bed.decode, ids[0]);
      if (round > 0) bed.seconds.push(seconds);
    }
  }
  for (const { model } of beds) await model.close();
  return beds.map(({ seconds }) => Math.min(...seconds));
}

async function compare(artifact, limitBytes) {
  const limit = limitBytes === null ? [] : ["--memory-limit", `${limitBytes} B`];
  const turnOptions = ["--prompt-tokens", String(TURN.promptTokens), "--generate-tokens", String(TURN.generateTokens)];
  const { document, seconds: searchSeconds } = await layerwise(
    "schedule",
    artifact,
    ...limit,
    ...turnOptions,
    "--dry-run",
  );
  const { chosen } = document;
  const decodes = [...new Set([{ kind: "plain", options: {} }, chosen.decode].map((one) => JSON.stringify(one)))];
  const settings = await grid(
    artifact,
    limitBytes,
    decodes.map((text) => JSON.parse(text)),
  );
  const { threads, promptChunk, residency, decode } = chosen;
  const own = { threads, promptChunk, residency, decode };
  // The chosen settings are one of the grid, or beside it; they are measured once.
  const same = (one) => JSON.stringify(one) === JSON.stringify(own);
  const all = settings.some(same) ? settings : [...settings, own];
  const seconds = await measureAll(artifact, all, limitBytes);
  const best = Math.min(...seconds);
  const found = seconds[all.findIndex(same)];
  return {
    ...{ limitBytes, turn: TURN, chosen, searchSeconds, bestSettings: all[seconds.indexOf(best)] },
    ...{ chosenSeconds: found, bestSeconds: best, ratio: found / best },
    grid: all.map((one, i) => ({ ...one, seconds: seconds[i] })),
  };
}

const artifacts = flag("artifact")?.split(",") ?? [await smollm2Artifact()];
const result = { cases: [], ...stamp() };
for (const artifact of artifacts) {
  const open = await openArtifact(artifact, { mapFile: null });
  const { besideBytes, weightBytes } = runMemory(open, { executor: "native" }, open.memory.kvType, CHUNKS.at(-1));
  await open.close();
  for (const limitBytes of [null, besideBytes + Math.floor(weightBytes / 2)]) {
    result.cases.push({
      artifact: path.basename(path.dirname(path.resolve(artifact))),
      ...(await compare(artifact, limitBytes)),
    });
    save("schedule", result);
  }
}
const words = ({ threads, promptChunk, residency, decode }) =>
  `${residency}, ${threads} threads, chunk ${promptChunk}, ${[decode.kind, ...Object.values(decode.options)].join(" ")}`;
const rows = result.cases.map((one) => [
  one.artifact,
  one.limitBytes === null ? "none" : `${(one.limitBytes / MIB).toFixed(0)} MiB`,
  words(one.chosen),
  `${one.chosenSeconds.toFixed(3)} s`,
  `${words(one.bestSettings)}: ${one.bestSeconds.toFixed(3)} s of ${one.grid.length}`,
  `${one.ratio.toFixed(3)}`,
]);
const head = ["artifact", "limit", "chosen", "a turn", "best of all", "chosen / best"];
process.stdout.write(`${table(head, rows)}\n`);
