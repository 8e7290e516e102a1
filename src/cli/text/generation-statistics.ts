import { REPORTED_COUNTS, type ReportedCount } from "../../decoding/drafters/drafter.ts";
import { ALL_DRAFTERS } from "../../decoding/drafters/index.ts";
import type { Generation } from "../../decoding/generate.ts";
import type { DecodingStatistics } from "../../decoding/speculative/decoder.ts";
import { type ExecutorInfo, executorName } from "../../runtime/executor-info.ts";
import { formatCount, formatNumber } from "./number-text.ts";

/** How fast one generation went; null where there is nothing to divide. */
export interface GenerationStatistics {
  readonly promptTokens: number;
  readonly reusedTokens: number;
  readonly generatedTokens: number;
  readonly firstTokenMs: number | null;
  readonly promptTokensPerSecond: number | null;
  /** Over the tokens after the first. */
  readonly generateTokensPerSecond: number | null;
  readonly decoding: DecodingFigures;
}

/** What the decoder did, and the mean of the blocks that ran before a token was proposed. */
interface DecodingFigures extends DecodingStatistics {
  readonly meanBlocks: number | null;
}

export function generationStatistics(generation: Generation): GenerationStatistics {
  const { ids, promptTokens, reusedTokens, firstTokenMs, generateMs, depths, decoding } = generation;
  const rate = (tokens: number, ms: number | null) => (tokens > 0 && ms ? (tokens * 1000) / ms : null);
  return {
    promptTokens,
    reusedTokens,
    generatedTokens: ids.length,
    firstTokenMs,
    promptTokensPerSecond: rate(promptTokens - reusedTokens, firstTokenMs),
    generateTokensPerSecond: rate(ids.length - 1, generateMs),
    decoding: { ...decoding, meanBlocks: depths.length === 0 ? null : sumOf(depths) / depths.length },
  };
}

/** The same for people, with what computed it. */
export function statisticsLines(statistics: GenerationStatistics, info: ExecutorInfo): string[] {
  const rate = (value: number | null) => (value === null ? "–" : `${formatNumber(value)} tokens/s`);
  const threads = info.threads === null ? "" : `, ${info.threads} threads`;
  const how = `${info.residency}, activations ${info.activations}`;
  return [
    `executor: ${executorName(info)} (${info.reason})${threads}, ${how}`,
    `prompt: ${formatCount(statistics.promptTokens)} tokens (${statistics.reusedTokens} from the cache), ${rate(statistics.promptTokensPerSecond)}`,
    `first token: ${statistics.firstTokenMs === null ? "–" : `${formatNumber(statistics.firstTokenMs)} ms`}`,
    `generated: ${formatCount(statistics.generatedTokens)} tokens, ${rate(statistics.generateTokensPerSecond)}`,
    ...decodingLines(statistics.decoding),
  ];
}

const COUNT_TEXTS: Readonly<Record<ReportedCount, (figures: DecodingFigures) => string>> = {
  drafts: ({ drafted, accepted, wasted }) => `${drafted} drafted, ${accepted} accepted, ${wasted} wasted`,
  sharedPasses: ({ sharedPasses }) => `${sharedPasses} shared passes`,
  plainRounds: ({ plainRounds }) => `${plainRounds} plain rounds`,
};

/** One line; none of a drafter that reports nothing. */
function decodingLines(figures: DecodingFigures): string[] {
  const { kind, meanBlocks } = figures;
  const reports = ALL_DRAFTERS.find((drafter) => drafter.kind === kind)?.reports ?? [];
  if (reports.length === 0) return [];
  const counts = REPORTED_COUNTS.filter((count) => reports.includes(count)).map((count) => COUNT_TEXTS[count](figures));
  const depth = `mean depth ${meanBlocks === null ? "–" : formatNumber(meanBlocks)} blocks`;
  return [`decoding: ${[kind, ...counts, depth].join(", ")}`];
}

const sumOf = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
