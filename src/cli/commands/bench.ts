import path from "node:path";
import type { BenchResult } from "../../bench/bench-result.ts";
import { SYNTHETIC_NAMES, type SyntheticShape } from "../../bench/synthetic-shapes.ts";
import { cacheFolder } from "../../cache-folder.ts";
import { codecIdOf } from "../../codecs/index.ts";
import { throwIfAborted, UserError } from "../../errors.ts";
import { parseJson } from "../../formats/json.ts";
import { BACKEND_CHOICES } from "../../runtime/backend-names.ts";
import { defineCommand } from "../command.ts";
import { checkDraftersArguments, draftersOptions } from "../options/drafters-options.ts";
import { executionOptions, openOptions } from "../options/execution-options.ts";
import { checkedNumbers } from "../options/number-bounds.ts";
import { type ScheduledArguments, scheduleOption, withSchedule } from "../options/schedule-use.ts";
import { collectGarbage } from "../process-memory.ts";
import type { Terminal } from "../terminal.ts";
import { benchText } from "../text/bench-text.ts";

/** `layerwise bench`: speeds, latency and memory, each model and backend in a process of its own. */
export const benchCommand = defineCommand({
  command: "bench [models..]",
  describe: "Prompt and generation tokens/s, use of the memory's bandwidth, first-token latency and peak memory",
  examples: [
    ["bench outputs/smollm2/artifact", "median and spread over the repeats"],
    ["bench outputs/a/artifact models/smollm2 --backends tensorflow wasm", "models by backends"],
    ["bench --synthetic llama-1.1b --threads 2", "random weights of TinyLlama-1.1B's shape, 4 bits a weight"],
    ["bench outputs/a/artifact --rows 1,2,4,8 --context 8192", "also the cost of small passes, and a long context"],
    ["bench outputs/a/artifact --drafters --csv drafters.csv", "fixed exits and DSSD beside plain decoding"],
  ],
  onDevice: true,
  repeatable: ["models", "backends"],
  options: (yargs) =>
    draftersOptions(
      scheduleOption(
        executionOptions(
          yargs.positional("models", {
            type: "string",
            array: true,
            default: [] as string[],
            describe: "Artifacts, run folders or checkpoints",
          }),
        ),
      ),
    )
      .option("backends", { choices: BACKEND_CHOICES, array: true, describe: "Several backends, one after the other" })
      .option("prompt-tokens", { type: "number", default: 128, describe: "Tokens of the (random) prompt" })
      .option("generate-tokens", { type: "number", default: 32, describe: "Tokens to generate" })
      .option("repeats", { type: "number", default: 5, describe: "Measured runs" })
      .option("warmup", { type: "number", default: 1, describe: "Runs before them" })
      .option("rows", {
        type: "string",
        describe: "Also time passes of these numbers of rows, and of parts of the model: 1,2,4",
      })
      .option("context", { type: "number", describe: "Also the speed at the end of a context of so many tokens" })
      .option("opening", { type: "boolean", default: false, describe: "Also the time from opening to a first token" })
      .option("synthetic", {
        choices: SYNTHETIC_NAMES,
        describe: "Random weights of a known model's shape, kept in the cache folder",
      })
      .option("codec", {
        type: "string",
        default: "q4s-g32",
        describe: "--synthetic: codec of the blocks, as a recipe names it",
      })
      .option("outer-codec", {
        type: "string",
        default: "q8s-g32",
        describe: "--synthetic: codec of embedding and output head",
      })
      .group(["synthetic", "codec", "outer-codec"], "Shape-only:"),
  async run(args, terminal) {
    const models = [...args.models];
    if (args.synthetic) models.push(await synthetic({ ...args, shape: args.synthetic }, terminal));
    if (models.length === 0) throw new UserError("USAGE", "bench: expected a model or --synthetic, found neither");
    checkDraftersArguments(args, models.length);
    if (args.drafters) {
      const { benchDraftersOf } = await import("../drafters-bench.ts");
      return benchDraftersOf(models[0], args, terminal);
    }
    const backends = args.backends ?? [args.backend];
    const subjects = models.flatMap((model) => backends.map((backend) => ({ model, backend })));
    const results: BenchResult[] = [];
    for (const subject of subjects) {
      throwIfAborted(terminal.signal);
      const one = { ...args, ...subject };
      results.push(subjects.length === 1 ? await measureHere(one, terminal) : await measureApart(one, terminal));
    }
    terminal.document({ results });
    terminal.print(benchText(results, terminal.colours));
  },
});

interface Subject extends ScheduledArguments {
  model: string;
  promptTokens: number;
  generateTokens: number;
  repeats: number;
  warmup: number;
  rows: string | undefined;
  context: number | undefined;
  opening: boolean;
}

/** The random artifact's folder: made where it is not in the cache yet. */
async function synthetic(
  { shape, codec, outerCodec }: { shape: SyntheticShape; codec: string; outerCodec: string },
  terminal: Terminal,
): Promise<string> {
  const { syntheticArtifact } = await import("../../bench/synthetic-artifact.ts");
  const options = { shape, codec: codecIdOf(codec), outerCodec: codecIdOf(outerCodec), seed: 0 };
  const { onProgress, signal } = terminal;
  const folder = await syntheticArtifact(cacheFolder(), options, { onProgress, signal });
  terminal.note(`layerwise: random weights in ${folder}`);
  return folder;
}

async function measureHere(given: Subject, terminal: Terminal): Promise<BenchResult> {
  const { args: subject, taken } = await withSchedule(given.model, given, terminal);
  if (taken !== null) terminal.note(`layerwise: ${taken}`);
  const { openSubject } = await import("../../bench/bench-subject.ts");
  const { benchmark } = await import("../../bench/benchmark.ts");
  const passRows = subject.rows === undefined ? null : checkedNumbers("rows", subject.rows);
  const open = await openSubject(subject.model, await openOptions(subject));
  collectGarbage();
  try {
    const { kind, folder, executor, weightBytes, contextTokens, kvType, promptChunk, loadMs, artifact } = open;
    const adapter = subject.adapter ?? null;
    const facts = { model: folder, kind, adapter, executor: executor.info, loadMs, weightBytes };
    const { promptTokens, generateTokens, repeats, warmup, context, opening } = subject;
    const options = {
      ...{ promptTokens, generateTokens, repeats, warmupRuns: warmup, contextTokens, kvType, promptChunk },
      ...{ passRows, longContextTokens: context, opening },
      signal: terminal.signal,
      onProgress: terminal.onProgress,
    };
    return await benchmark(executor, facts, options, artifact);
  } finally {
    await open.close();
  }
}

/** In a process of its own: peak memory and the backend belong to a process. */
async function measureApart(subject: Subject, terminal: Terminal): Promise<BenchResult> {
  const { runSelf } = await import("../run-self.ts");
  const { BenchDocument } = await import("../../bench/bench-result.ts");
  terminal.note(`layerwise: measuring ${path.basename(subject.model)} on ${subject.backend}`);
  const { model, backend, promptTokens, generateTokens, repeats, warmup, rows, context, opening } = subject;
  const { executor, isa, threads, activations, resident, residency, kv, adapter } = subject;
  const values = {
    ...{ backend, "prompt-tokens": promptTokens, "generate-tokens": generateTokens, repeats, warmup },
    ...{ rows, context, opening, executor, isa, threads, activations, resident, residency, kv, adapter },
    schedule: subject.schedule,
    ...{ "memory-limit": subject["memory-limit"], "prompt-chunk": subject["prompt-chunk"] },
  };
  const flags = Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]));
  const output = await runSelf(["bench", model, "--json", ...flags], terminal.signal);
  return BenchDocument.parse(parseJson(output)).results[0];
}
