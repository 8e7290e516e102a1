import { describe, expect, it } from "vitest";
import { ATTENTION_SCORE_BYTES, attentionRows, EXPAND_BYTES, workspaceBytes } from "../../src/model/workspace.ts";
import type { Residency } from "../../src/runtime/executor-info.ts";
import { smallSpec } from "../runtime/random-model.ts";
import { describeWorkspace } from "./workspace-cases.ts";

describeWorkspace(["tensorflow", "wasm"]);

describe("workspace", () => {
  it("counts expansion only where matrices are expanded", () => {
    const spec = smallSpec({ hiddenSize: 512, ffn: 4096 });
    const [packed, resident, streamed] = (["packed", "resident", "streamed"] satisfies Residency[]).map((residency) =>
      workspaceBytes(spec, { contextTokens: 64, residency }),
    );
    expect(packed - resident).toBe(2 * EXPAND_BYTES);
    expect(streamed).toBeGreaterThan(packed);
  });

  it("bounds the rows whose attention is computed at a time", () => {
    expect(attentionRows(8, 1, 100)).toBe(100);
    expect(attentionRows(1000, 1_000_000, 100)).toBe(1);
    const rows = attentionRows(9, 2048, 256);
    expect(rows * 9 * 2048 * 4).toBeLessThanOrEqual(ATTENTION_SCORE_BYTES);
    expect((rows + 1) * 9 * 2048 * 4).toBeGreaterThan(ATTENTION_SCORE_BYTES);
  });
});
