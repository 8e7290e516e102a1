import type { Argv } from "yargs";
import type { SamplerOptions } from "../../decoding/sampler.ts";

export interface SamplingArguments {
  temperature: number;
  "top-k": number;
  "top-p": number;
  "min-p": number;
  "repetition-penalty": number;
  seed: number;
  stop: string[];
  "max-tokens": number | undefined;
}

/** Adds `--max-tokens`, `--stop` and the sampling flags. */
export function samplingOptions<T>(yargs: Argv<T>): Argv<T & SamplingArguments> {
  return yargs
    .option("max-tokens", { type: "number", describe: "Most tokens to generate; default: until the context is full" })
    .option("stop", {
      type: "string",
      array: true,
      nargs: 1,
      default: [],
      describe: "End before this text; repeatable",
    })
    .option("temperature", { type: "number", default: 0, describe: "0: the most likely token; above: draw" })
    .option("top-k", { type: "number", default: 0, describe: "Draw among the k most likely tokens; 0: all" })
    .option("top-p", {
      type: "number",
      default: 1,
      describe: "Draw among the most likely tokens of this total probability",
    })
    .option("min-p", {
      type: "number",
      default: 0,
      describe: "Drop tokens less likely than this fraction of the likeliest",
    })
    .option("repetition-penalty", {
      type: "number",
      default: 1,
      describe: "Above 1: make tokens seen before less likely",
    })
    .option("seed", { type: "number", default: 0, describe: "Seed of the draws" })
    .group(["temperature", "top-k", "top-p", "min-p", "repetition-penalty", "seed"], "Sampling:");
}

/** The arguments as the sampler takes them. */
export function samplerOptions(args: SamplerOptions): SamplerOptions {
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = args;
  return { temperature, topK, topP, minP, repetitionPenalty, seed };
}
