import { describe } from "vitest";
import { createNativeExecutor } from "../../../src/runtime/native/executor.ts";
import { describeGoldens } from "../golden-cases.ts";
import { HAS_ADDON, needsAddon } from "./addon-state.ts";

describe.skipIf(!HAS_ADDON)(needsAddon("native executor"), () => {
  describeGoldens((source) => createNativeExecutor(source, { residency: "resident", activations: "f32" }));
});
