import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { createTfjsExecutor, type TfjsExecutor, type TfjsOptions } from "../../../src/runtime/tfjs/executor.ts";

/** Runs `work` with an executor and checks that no tensor is left behind. */
export async function withTfjsExecutor<T>(
  source: WeightSource,
  options: TfjsOptions,
  work: (executor: TfjsExecutor) => Promise<T>,
): Promise<T> {
  const before = tf.memory().numTensors;
  const executor = await createTfjsExecutor(source, options);
  const result = await work(executor);
  await executor.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return result;
}
