// One process of node-llama-cpp's prebuilt library: MODEL THREADS PROMPT_TOKENS GENERATE_TOKENS REPEATS, after a
// warm-up. Prints
// { promptTokensPerSecond, generateTokensPerSecond }, a list each.
import { getLlama } from "node-llama-cpp";

const [modelPath, ...numbers] = process.argv.slice(2);
const [threads, promptTokens, generateTokens, repeats] = numbers.map(Number);
const llama = await getLlama({ gpu: false, build: "never", maxThreads: threads, logLevel: "error" });
const model = await llama.loadModel({ modelPath, gpuLayers: 0 });
const contextSize = promptTokens + generateTokens + 8;
const context = await model.createContext({ contextSize, batchSize: Math.max(512, promptTokens), threads });
const sequence = context.getSequence();
// Which ids does not change the work: these are in every vocabulary.
const prompt = Array.from({ length: promptTokens }, (_, i) => 100 + ((i * 7919) % 20000));

async function once() {
  await sequence.clearHistory();
  const began = performance.now();
  const tokens = sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true });
  await tokens.next();
  const first = performance.now();
  for (let i = 1; i < generateTokens; i++) await tokens.next();
  const end = performance.now();
  await tokens.return();
  return { prompt: (promptTokens * 1000) / (first - began), generate: ((generateTokens - 1) * 1000) / (end - first) };
}

await once();
const runs = [];
for (let i = 0; i < repeats; i++) runs.push(await once());
console.log(
  JSON.stringify({
    promptTokensPerSecond: runs.map(({ prompt: speed }) => speed),
    generateTokensPerSecond: runs.map(({ generate: speed }) => speed),
  }),
);
process.exit(0);
