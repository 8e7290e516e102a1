import type { BenchResult } from "../../bench/bench-result.ts";
import type { ContextSpeed } from "../../bench/context-speed.ts";
import type { PassCosts } from "../../bench/pass-costs.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { shortBytes } from "../../size-text.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatNumber, formatPercent } from "./number-text.ts";
import { renderTable } from "./table.ts";

const right = (head: string) => ({ head, align: "right" as const });
const spread = (s: BenchResult["firstTokenMs"]) => `${formatNumber(s.median)} ± ${formatNumber(s.quartileDeviation)}`;

/** The results of `layerwise bench` as tables, with the protocol and the machine. */
export function benchText(results: readonly BenchResult[], colours: Colours): string {
  const [first] = results;
  const { machine } = first;
  const protocol = `median ± half the quartile distance of ${first.promptTokensPerSecond.repeats} repeats after ${first.warmupRuns} warm-up; prompt ${first.promptTokens}, generated ${first.generateTokens} tokens`;
  const where = `${machine.cpu}, ${machine.cores} cores, ${shortBytes(machine.memoryBytes)}, ${machine.platform}, Node ${machine.node}`;
  const parts = [
    speedTable(results, colours),
    ...results.flatMap((result) => moreText(result, colours)),
    colours.dim(`${protocol}\n${where}`),
  ];
  return parts.join("\n\n");
}

function speedTable(results: readonly BenchResult[], colours: Colours): string {
  const columns = [
    { head: "model" },
    { head: "executor" },
    right("threads"),
    right("prompt tokens/s"),
    right("generated tokens/s"),
    right("of bandwidth"),
    right("first token ms"),
    right("cold ms"),
    right("weights"),
    right("peak RSS"),
  ];
  const rows = results.map((result) => [
    result.model,
    `${executorName(result.executor)} ${result.executor.residency}`,
    String(result.executor.threads ?? "?"),
    spread(result.promptTokensPerSecond),
    spread(result.generateTokensPerSecond),
    result.bandwidth ? formatPercent(result.bandwidth.fraction) : "-",
    spread(result.firstTokenMs),
    formatNumber(result.coldFirstTokenMs),
    shortBytes(result.weightBytes),
    shortBytes(result.peakRssBytes),
  ]);
  return renderTable(columns, rows, colours);
}

/** What was measured beside the speeds. */
function moreText({ model, bandwidth, openingMs, passes, longContext }: BenchResult, colours: Colours): string[] {
  const lines: string[] = [];
  if (bandwidth) {
    const { weightBytesPerToken: weights, kvBytesPerToken: kv, bytesPerSecond } = bandwidth;
    lines.push(
      `${model}: a token reads ${shortBytes(weights)} of weights (blocks, output head) and ${shortBytes(kv)} of keys and values; memory is read at ${(bytesPerSecond / 1e9).toFixed(1)} GB/s`,
    );
  }
  if (openingMs) lines.push(`${model}: from opening to the first token of 16: ${spread(openingMs)} ms`);
  if (longContext) lines.push(contextText(model, longContext));
  return [...(lines.length > 0 ? [lines.join("\n")] : []), ...(passes ? [passTable(passes, colours)] : [])];
}

function contextText(model: string, context: ContextSpeed): string {
  const { startTokensPerSecond: start, endTokensPerSecond: end } = context;
  const at = (position: number, speed: typeof start) => `${spread(speed)} tokens/s at ${formatCount(position)}`;
  return `${model}: ${at(context.startPosition, start)}, ${at(context.endPosition, end)}: ${formatPercent(context.ofModel)} of what the bytes let expect`;
}

function passTable({ position, rows, blocks, outputHeadMs, exitHead }: PassCosts, colours: Colours): string {
  const one = rows[0].ms.median;
  const line = (name: string, ms: PassCosts["outputHeadMs"]) => [name, spread(ms), (ms.median / one).toFixed(3)];
  const cells = [
    ...rows.map((row) => line(`${row.rows} rows, logits of each`, row.ms)),
    ...blocks.map((part) => line(`1 row, blocks [0, ${part.blocks})`, part.ms)),
    line("1 row, output head", outputHeadMs),
    ...(exitHead
      ? [line(`1 row, exit head over ${formatCount(exitHead.ids)} ids (${exitHead.codec})`, exitHead.ms)]
      : []),
  ];
  return renderTable(
    [{ head: `pass after ${formatCount(position)} positions` }, right("ms"), right("of 1 row")],
    cells,
    colours,
  );
}
