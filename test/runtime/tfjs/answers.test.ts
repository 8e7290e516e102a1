import { beforeAll, describe } from "vitest";
import { openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { answerCases } from "../answer-cases.ts";
import { withTfjsExecutor } from "./with-executor.ts";

describe("answers of the tfjs executor", () => {
  beforeAll(() => openBackend().then(() => undefined));

  answerCases(withTfjsExecutor);
});
