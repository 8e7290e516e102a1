import type { BenchResult } from "../../bench/benchmark.ts";
import { throwIfAborted } from "../../errors.ts";
import { BACKEND_CHOICES } from "../../runtime/backend-names.ts";
import { defineCommand } from "../command.ts";
import { type ExecutionArguments, executionOptions, openOptions } from "../execution-options.ts";
import { formatMiB, formatNumber } from "../number-text.ts";
import { renderTable } from "../table.ts";
import type { Colours, Terminal } from "../terminal.ts";

/** `layerwise bench`: speeds, latency and memory, each model and backend in a process of its own. */
export const benchCommand = defineCommand({
  command: "bench <models..>",
  describe: "Prompt and generation tokens/s, first-token latency and peak memory",
  examples: [
    ["bench outputs/smollm2/artifact", "median and spread over the repeats"],
    ["bench outputs/a/artifact models/smollm2 --backends tensorflow wasm", "models by backends"],
  ],
  options: (yargs) =>
    executionOptions(
      yargs.positional("models", {
        type: "string",
        array: true,
        demandOption: true,
        describe: "Artifacts, run folders or checkpoints",
      }),
    )
      .option("backends", { choices: BACKEND_CHOICES, array: true, describe: "Several backends, one after the other" })
      .option("prompt-tokens", { type: "number", default: 128, describe: "Tokens of the (random) prompt" })
      .option("generate-tokens", { type: "number", default: 32, describe: "Tokens to generate" })
      .option("repeats", { type: "number", default: 5, describe: "Measured runs" })
      .option("warmup", { type: "number", default: 1, describe: "Runs before them" }),
  async run(args, terminal) {
    const backends = args.backends ?? [args.backend];
    const subjects = args.models.flatMap((model) => backends.map((backend) => ({ model, backend })));
    const results: BenchResult[] = [];
    for (const subject of subjects) {
      throwIfAborted(terminal.signal);
      const one = { ...args, ...subject };
      results.push(subjects.length === 1 ? await measureHere(one, terminal) : await measureApart(one, terminal));
    }
    terminal.document({ results });
    terminal.print(resultsText(results, terminal.colours));
  },
});

interface Subject extends ExecutionArguments {
  model: string;
  promptTokens: number;
  generateTokens: number;
  repeats: number;
  warmup: number;
}

async function measureHere(subject: Subject, terminal: Terminal): Promise<BenchResult> {
  const { openModel } = await import("../../decoding/open-model.ts");
  const { benchmark } = await import("../../bench/benchmark.ts");
  const started = performance.now();
  const model = await openModel(subject.model, openOptions(subject));
  try {
    const { kind, executor, weightBytes, contextTokens, kvType } = model;
    const loadMs = performance.now() - started;
    const facts = { model: model.folder, kind, executor: executor.info, loadMs, weightBytes };
    const { promptTokens, generateTokens, repeats, warmup } = subject;
    const { signal, onProgress } = terminal;
    const options = {
      promptTokens,
      generateTokens,
      repeats,
      warmupRuns: warmup,
      contextTokens,
      kvType,
      signal,
      onProgress,
    };
    return await benchmark(executor, facts, options);
  } finally {
    await model.close();
  }
}

/** In a process of its own: peak memory and the backend belong to a process. */
async function measureApart(subject: Subject, terminal: Terminal): Promise<BenchResult> {
  const { runSelf } = await import("../run-self.ts");
  const { BenchDocument } = await import("../../bench/benchmark.ts");
  terminal.note(`layerwise: measuring ${subject.model} on ${subject.backend}`);
  const optional = (name: string, value: unknown) => (value === undefined ? [] : [`--${name}=${value}`]);
  const output = await runSelf(
    [
      "bench",
      subject.model,
      "--json",
      `--backend=${subject.backend}`,
      `--prompt-tokens=${subject.promptTokens}`,
      `--generate-tokens=${subject.generateTokens}`,
      `--repeats=${subject.repeats}`,
      `--warmup=${subject.warmup}`,
      ...optional("threads", subject.threads),
      ...optional("resident", subject.resident),
      ...optional("kv", subject.kv),
    ],
    terminal.signal,
  );
  return BenchDocument.parse(JSON.parse(output)).results[0];
}

function resultsText(results: readonly BenchResult[], colours: Colours): string {
  const right = (head: string) => ({ head, align: "right" as const });
  const columns = [
    { head: "model" },
    { head: "executor" },
    right("threads"),
    right("prompt tokens/s"),
    right("generated tokens/s"),
    right("first token ms"),
    right("cold ms"),
    right("weights"),
    right("peak RSS"),
  ];
  const spread = (s: BenchResult["firstTokenMs"]) => `${formatNumber(s.median)} ± ${formatNumber(s.quartileDeviation)}`;
  const rows = results.map((result) => [
    result.model,
    `${result.executor.executor} ${result.executor.backend} ${result.executor.residency}`,
    String(result.executor.threads ?? "?"),
    spread(result.promptTokensPerSecond),
    spread(result.generateTokensPerSecond),
    spread(result.firstTokenMs),
    formatNumber(result.coldFirstTokenMs),
    formatMiB(result.weightBytes),
    formatMiB(result.peakRssBytes),
  ]);
  const [first] = results;
  const { machine } = first;
  const protocol = `median ± half the quartile distance of ${first.promptTokensPerSecond.repeats} repeats after ${first.warmupRuns} warm-up; prompt ${first.promptTokens}, generated ${first.generateTokens} tokens`;
  const where = `${machine.cpu}, ${machine.cores} cores, ${formatMiB(machine.memoryBytes)}, ${machine.platform}, Node ${machine.node}`;
  return `${renderTable(columns, rows, colours)}\n${colours.dim(`${protocol}\n${where}`)}`;
}
