import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect } from "vitest";
import { openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { createTfjsExecutor } from "../../../src/runtime/tfjs/executor.ts";
import { answerCases } from "../answer-cases.ts";
import type { WithExecutor } from "../executor-cases.ts";

/** Runs `work` with an executor and checks that no tensor is left behind. */
const withExecutor: WithExecutor = async (source, options, work) => {
  const before = tf.memory().numTensors;
  const executor = await createTfjsExecutor(source, options);
  const result = await work(executor);
  await executor.dispose();
  expect(tf.memory().numTensors).toBe(before);
  return result;
};

describe("answers of the tfjs executor", () => {
  beforeAll(() => openBackend().then(() => undefined));

  answerCases(withExecutor);
});
