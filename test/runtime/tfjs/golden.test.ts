import { createTfjsExecutor } from "../../../src/runtime/tfjs/executor.ts";
import { describeGoldens } from "../golden-cases.ts";

describeGoldens((source) => createTfjsExecutor(source, { residency: "resident" }));
