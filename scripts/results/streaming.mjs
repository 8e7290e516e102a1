// npm run results:streaming [SMOLLM2_FOLDER] [--qwen=FOLDER] [--only=smollm2,qwen]: models run with less memory than
// their weights take, in a control group that counts the page cache too: the same text, and tokens/s beside what the
// disk's bandwidth allows, measured in turns. Linux, as somebody who may make control groups. Alone on the machine.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { openArtifact } from "../../dist/artifact/reader.js";
import { runMemory } from "../../dist/decoding/memory-limit.js";
import { median } from "../../test/peers/runners.mjs";
import { flag, layerwise, MIB, note, save, smollm2Folder, stamp, table } from "./common.mjs";
import { diskBandwidth } from "./disk-bandwidth.mjs";
import { memoryGroup } from "./memory-group.mjs";
import { recipeFile, shippedTexts } from "./recipe-file.mjs";

const OUT = "outputs/results/streaming";
const FILE = "docs/results/streaming.json";
const ROUNDS = 5;
const TOKENS = 48;
const CONTEXT = 512;
/** `beside`: the limit is for weights alone, and what the process takes beside them is added: a small model's base is
 * larger than its weights. */
const SUBJECTS = {
  smollm2: { folder: smollm2Folder, codec: "q4s-g32", beside: true, prompt: "Once upon a time there was" },
  qwen: { folder: () => flag("qwen"), codec: "q8s-g32", beside: false, prompt: "def fibonacci(n):\n" },
};

/** The artifact, made where it is not there. */
async function artifactOf(name, { folder, codec }) {
  const out = `${OUT}/${name}`;
  if (existsSync(`${out}/artifact/manifest.json`)) return `${out}/artifact`;
  const calibration = shippedTexts(["pride-and-prejudice.txt"], 512);
  const plan = { allocator: "uniform", codecs: [codec], embedding: "8 bits" };
  const recipe = recipeFile(`${out}.yaml`, { name, calibration, plan, context: CONTEXT });
  await layerwise("compress", folder(), "--recipe", recipe, "--budget", "4 GiB", "--out", out);
  return `${out}/artifact`;
}

/** A command in a group of so many bytes: its document, and the group's peak. */
function within(limitBytes, args) {
  const group = memoryGroup("streaming", limitBytes);
  try {
    const command = [process.execPath, "dist/cli/main.js", ...args, "--memory-limit", `${limitBytes} B`, "--json"];
    const text = execFileSync("sh", ["-c", group.enter, "sh", ...command], { encoding: "utf8", maxBuffer: 2 ** 28 });
    return { document: JSON.parse(text), peakBytes: group.peakBytes() };
  } finally {
    group.remove();
  }
}

/** What a process takes beside blocks and output head, by the memory sum. */
async function besideBytes(artifact) {
  const open = await openArtifact(artifact, { mapFile: null });
  try {
    return runMemory(open, { executor: "native", backend: "auto" }, open.memory.kvType).besideBytes;
  } finally {
    await open.close();
  }
}

async function measure(name, subject) {
  const artifact = await artifactOf(name, subject);
  const { plan, files } = JSON.parse(readFileSync(`${artifact}/manifest.json`, "utf8"));
  const weights = path.join(artifact, files.find((file) => file.name.startsWith("weights-")).name);
  const weightBytes = plan.memory.fileBytes;
  const limitBytes = Math.floor(weightBytes / 2) + (subject.beside ? await besideBytes(artifact) : 0);
  const say = ["run", artifact, subject.prompt, "--max-tokens", String(TOKENS)];
  const rounds = [];
  let tokens = 0;
  let sameIds = true;
  for (let i = 0; i < ROUNDS; i++) {
    const bytesPerSecond = diskBandwidth(weights);
    const { document: mapped } = await layerwise(...say, "--residency", "mapped");
    const { document: streamed, peakBytes } = within(limitBytes, say);
    const after = diskBandwidth(weights);
    const { tokenBytes, heldBytes } = streamed.executor.streamed;
    // A token takes as long as its bytes on the disk, or as computing it: the better of the two readings around it.
    const diskMs = (1000 * tokenBytes) / Math.max(bytesPerSecond, after);
    const computeMs = 1000 / mapped.statistics.generateTokensPerSecond;
    const bound = 1000 / Math.max(diskMs, computeMs);
    const tokensPerSecond = streamed.statistics.generateTokensPerSecond;
    rounds.push({
      ...{ bytesPerSecond: Math.max(bytesPerSecond, after), diskMs, computeMs, bound, tokensPerSecond },
      ...{ ofBound: tokensPerSecond / bound, tokenBytes, heldBytes, groupPeakBytes: peakBytes },
    });
    tokens = streamed.ids.length;
    sameIds &&= String(streamed.ids) === String(mapped.ids);
    note(`${name} ${i + 1}/${ROUNDS}: ${JSON.stringify(rounds.at(-1))}`);
  }
  const of = (key) => median(rounds.map((round) => round[key]));
  const figures = Object.fromEntries(Object.keys(rounds[0]).map((key) => [key, of(key)]));
  return {
    ...{
      codec: subject.codec,
      contextTokens: CONTEXT,
      weightBytes,
      limitBytes,
      limitCovers: subject.beside ? "weights" : "process",
    },
    ...{ tokens, sameIds, ...figures, rounds, ...stamp() },
  };
}

const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : {};
for (const name of flag("only")?.split(",") ?? Object.keys(SUBJECTS)) {
  result[name] = await measure(name, SUBJECTS[name]);
  save("streaming", result);
}

const rows = Object.entries(result).map(([name, one]) => [
  `${name}, ${one.codec}`,
  `${(one.weightBytes / MIB).toFixed(1)}`,
  `${(one.limitBytes / MIB).toFixed(1)} (${one.limitCovers === "process" ? "all" : "half of them beside the rest"})`,
  `${(one.groupPeakBytes / MIB).toFixed(1)}`,
  one.sameIds ? `the same ${one.tokens} tokens` : "ANOTHER TEXT",
  `${(one.tokenBytes / MIB).toFixed(1)}`,
  `${(one.bytesPerSecond / 1e9).toFixed(2)} GB/s`,
  `${one.bound.toFixed(1)}`,
  `${one.tokensPerSecond.toFixed(1)} (${(100 * one.ofBound).toFixed(1)} %)`,
]);
const head = ["model", "weights, MiB", "limit, MiB", "peak of the group, MiB", "text"];
const more = ["MiB read a token", "disk", "bound, tokens/s", "tokens/s (of the bound)"];
process.stdout.write(`${table([...head, ...more], rows)}\n`);
