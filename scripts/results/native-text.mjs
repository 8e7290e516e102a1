// The tables of docs/results/native.json.
import { comparisonText } from "../../test/peers/bench-peers.mjs";
import { MIB, table } from "./common.mjs";

const mib = (bytes) => (bytes / MIB).toFixed(1);
const percent = (share) => `${(100 * share).toFixed(0)} %`;
const spread = ({ median, quartileDeviation }, digits = 1) =>
  `${median.toFixed(digits)} ± ${quartileDeviation.toFixed(digits)}`;
const ofThreads = (threads) => `${threads} ${threads === 1 ? "thread" : "threads"}`;

/** What was measured, a heading each, with the commit that it was measured on. */
export function nativeText(result) {
  const parts = [
    ["comparison", "Beside llama.cpp", comparisonText],
    ["shapes", "Shapes beyond the cache", shapesText],
    ["memory", "Memory and opening", memoryText],
    ["contexts", "Long contexts", contextsText],
    ["passes", "Small passes", passesText],
  ];
  return parts
    .filter(([name]) => result[name])
    .map(([name, title, text]) => `### ${title}\n\n${text(result[name])}\n\nCommit ${result.stamps[name].commit}.`)
    .join("\n\n");
}

function shapesText(shapes) {
  const rows = shapes.map(({ name, threads, generateTokensPerSecond, promptTokensPerSecond, bandwidth }) => [
    `${name}, ${ofThreads(threads)}`,
    spread(generateTokensPerSecond, 2),
    percent(bandwidth.fraction),
    `${(bandwidth.bytesPerSecond / 1e9).toFixed(1)} GB/s`,
    mib(bandwidth.weightBytesPerToken),
    spread(promptTokensPerSecond),
  ]);
  const head = [
    "shape",
    "generated tokens/s",
    "of the bandwidth",
    "read bandwidth",
    "weights a token, MiB",
    "prompt tokens/s",
  ];
  return `Random weights, blocks in q4s-g32, embedding and output head in q8s-g32.\n\n${table(head, rows)}`;
}

function memoryText(memory) {
  const rows = memory.map(
    ({ name, threads, weightBytes, kvBytes, peakRssBytes, overBytes, openingMs, coldFirstTokenMs }) => [
      `${name}, ${ofThreads(threads)}`,
      mib(peakRssBytes),
      mib(weightBytes),
      mib(kvBytes),
      mib(overBytes),
      spread(openingMs, 0),
      coldFirstTokenMs.toFixed(0),
    ],
  );
  const head = [
    "model",
    "peak RSS, MiB",
    "artifact",
    "keys and values",
    "beyond them",
    "opening to first token, ms",
    "first in the process, ms",
  ];
  return `Peak memory of a process that generates 128 tokens after 128. Opening: from openArtifact() in a running process to the first token of a 16-token prompt, tokenizer apart.\n\n${table(head, rows)}`;
}

function contextsText(contexts) {
  const rows = contexts.map((result) => [
    `${result.name}, ${ofThreads(result.threads)}`,
    `${spread(result.startTokensPerSecond)} at ${result.startPosition}`,
    `${spread(result.endTokensPerSecond)} at ${result.endPosition}`,
    percent(result.ofModel),
    percent((result.endTokensPerSecond.median * result.endBytesPerToken) / result.bytesPerSecond),
  ]);
  const head = [
    "model",
    "tokens/s near the start",
    "tokens/s at the end",
    "of what the bytes let expect",
    "of the bandwidth, at the end",
  ];
  return `What the bytes let expect: the speed near the start x bytes a token reads there over bytes at the end.\n\n${table(head, rows)}`;
}

function passesText(passes) {
  const [first] = passes;
  const rowHead = first.rows.map(({ rows }) => String(rows));
  const ratios = passes.map(({ name, threads, rows }) => [
    `${name}, ${ofThreads(threads)}`,
    rows[0].ms.median.toFixed(2),
    ...rows.map(({ ratio }) => ratio.toFixed(2)),
  ]);
  const parts = passes.map(({ name, threads, blocks, outputHeadMs, exitHead }) => [
    `${name}, ${ofThreads(threads)}`,
    ...blocks.map(({ ms }) => ms.median.toFixed(2)),
    outputHeadMs.median.toFixed(2),
    exitHead.ms.median.toFixed(2),
  ]);
  const blockHead = first.blocks.map(({ blocks }) => `blocks [0, ${blocks})`);
  return [
    `T(k) / T(1) of a pass of k rows after ${first.position} positions, with logits for every row.`,
    table(["model", "T(1), ms", ...rowHead], ratios),
    "Parts of a pass of one row, ms.",
    table(["model", ...blockHead, "output head", `exit head over ${first.exitHead.ids} ids`], parts),
  ].join("\n\n");
}
