import { createHash } from "node:crypto";
import type { EvaluationResult } from "../../evaluation/evaluation-result.ts";
import type { Windows } from "../../evaluation/windows.ts";
import { decodeText, readFileBytes } from "../../formats/files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { defineCommand } from "../command.ts";
import { executionOptions, openOptions } from "../execution-options.ts";
import { formatCount, formatNumber } from "../number-text.ts";
import { renderTable } from "../table.ts";
import type { Colours } from "../terminal.ts";

const BOS_CHOICES = ["auto", "yes", "no"] as const;

/** `layerwise eval`: perplexity on a text and, with `--reference`, KL divergence and top-1 agreement. */
export const evalCommand = defineCommand({
  command: "eval <model>",
  describe: "Perplexity on a text; against a reference checkpoint also KL divergence and top-1 agreement",
  examples: [
    ["eval outputs/smollm2/artifact --text wiki.test.raw --windows 40", "perplexity ± its standard error"],
    ["eval outputs/smollm2/artifact --text wiki.test.raw --reference models/smollm2 --json", "with KL divergence"],
  ],
  options: (yargs) =>
    executionOptions(
      yargs.positional("model", { type: "string", demandOption: true, describe: "Artifact, run folder or checkpoint" }),
    )
      .option("text", { type: "string", demandOption: true, describe: "UTF-8 text file" })
      .option("reference", { type: "string", describe: "The original checkpoint, computed in f32" })
      .option("noise-floor", {
        type: "boolean",
        default: true,
        describe:
          "With --reference: also the divergence of the reference stored as bf16 (nothing to measure where it is)",
      })
      .option("window", { type: "number", default: 512, describe: "Tokens of a window" })
      .option("stride", { type: "number", describe: "Tokens between the starts of windows; default: the window" })
      .option("windows", { type: "number", describe: "Only the first so many windows" })
      .option("score", {
        choices: ["all", "second-half"] as const,
        default: "all" as const,
        describe: "Tokens scored: all but a window's first, or its second half as llama.cpp does",
      })
      .option("bos", {
        choices: BOS_CHOICES,
        default: "auto" as const,
        describe: "Put BOS in place of each window's first token; auto: if the tokenizer adds one",
      }),
  async run(args, terminal) {
    const { openModel } = await import("../../decoding/open-model.ts");
    const { evaluate } = await import("../../evaluation/evaluate.ts");
    const { openNoiseReference } = await import("../../evaluation/noise-floor.ts");
    const { cutWindows } = await import("../../evaluation/windows.ts");
    const bytes = await readFileBytes(args.text);
    const text = decodeText(bytes, args.text);
    const model = await openModel(args.model, openOptions(args));
    const reference = args.reference === undefined ? null : await openModel(args.reference, openOptions(args));
    const noise = reference && args.noiseFloor ? await openNoiseReference(reference.folder, openOptions(args)) : null;
    try {
      const windows = cutWindows(model.tokenizer.encode(text, { specialTokens: false }), {
        windowTokens: args.window,
        maxWindowTokens: model.executor.spec.maxPositions,
        strideTokens: args.stride,
        maxWindows: args.windows,
        scored: args.score,
        bosToken: windowBos(model.tokenizer, args.bos),
        label: args.text,
        textSha256: createHash("sha256").update(bytes).digest("hex"),
      });
      const { signal, onProgress } = terminal;
      const request = { executor: model.executor, windows, signal, onProgress };
      const compared = { reference: reference?.executor, noiseReference: noise?.executor };
      const result = await evaluate({ ...request, ...compared });
      terminal.document({
        model: model.folder,
        kind: model.kind,
        referenceModel: reference?.folder ?? null,
        weightBytes: model.weightBytes,
        ...{ text: { path: args.text, ...result.text }, result: withoutText(result) },
        executor: model.executor.info,
      });
      terminal.print(evaluationText(result, windows, terminal.colours));
    } finally {
      await model.close();
      await reference?.close();
      await noise?.close();
    }
  },
});

function withoutText({ text: _, ...rest }: EvaluationResult): Omit<EvaluationResult, "text"> {
  return rest;
}

/** The token to put first in every window, or null. */
function windowBos(tokenizer: Tokenizer, choice: (typeof BOS_CHOICES)[number]): number | null {
  if (choice === "no" || tokenizer.bosToken === null) return null;
  if (choice === "yes") return tokenizer.bosToken;
  return tokenizer.encode("a", { specialTokens: true })[0] === tokenizer.bosToken ? tokenizer.bosToken : null;
}

function evaluationText(result: EvaluationResult, windows: Windows, colours: Colours): string {
  const plusMinus = (value: number, error: number) => `${formatNumber(value)} ± ${formatNumber(error)}`;
  const { model, reference, divergence } = result;
  const rows = [["perplexity", plusMinus(model.perplexity, model.perplexityError)]];
  if (reference) rows.push(["perplexity of the reference", plusMinus(reference.perplexity, reference.perplexityError)]);
  if (divergence) {
    rows.push(
      ["KL divergence, nats a token", plusMinus(divergence.mean, divergence.meanError)],
      [
        "  median, 90 %, 99 %, max",
        [divergence.median, divergence.p90, divergence.p99, divergence.max].map(formatNumber).join(", "),
      ],
      ["top-1 agreement, %", plusMinus(100 * divergence.top1Agreement, 100 * divergence.top1AgreementError)],
    );
  }
  if (result.noiseFloor) {
    const { mean, meanError } = result.noiseFloor;
    rows.push(["noise floor: KL of the reference as bf16", plusMinus(mean, meanError)]);
  }
  const { residency, activations, kvType } = model.arithmetic;
  const scored = `${formatCount(result.scoredTokens)} tokens scored in ${windows.windows.length} windows of ${windows.windowTokens}, stride ${windows.strideTokens}`;
  const how = `${executorName(model.arithmetic)}, ${residency}, activations ${activations}, keys and values ${kvType}; text sha256 ${result.text.sha256}`;
  return `${renderTable([{ head: "measure" }, { head: "value" }], rows, colours)}\n${colours.dim(`${scored}\n${how}`)}`;
}
