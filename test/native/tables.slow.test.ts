import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";

const SCRIPT = "scripts/native/check-tables.mjs";
/** Compiling the tables takes half a minute where no objects are left of an earlier run. */
const TIMEOUT_MS = 600_000;

function checkTables(...words: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, ...words], { encoding: "utf8" });
  return { status, output: `${stdout}${stderr}` };
}

/** What is compared in each way of running tables; test/native/tables has the C++ that does it. */
const WAYS = [
  { way: "native", tables: /(avx2|neon): \d{6,} numbers compared with scalar, 0 kernels' results differ/ },
  { way: "avx512", tables: /avx512vbmi2: \d{6,} numbers compared with scalar, 0 kernels' results differ/ },
  { way: "neon", tables: /neondot: \d{6,} numbers compared with scalar, 0 kernels' results differ/ },
] as const;

describe.each(WAYS)("kernels compared with the plain ones, bit for bit: $way", ({ way, tables }) => {
  const { output: missing } = checkTables("--missing", way);

  it.skipIf(missing !== "")(
    missing === "" ? "every kernel" : `skipped: ${missing.trim()}`,
    { timeout: TIMEOUT_MS },
    () => {
      const { status, output } = checkTables("--quick", way);
      expect(output).not.toMatch(/[1-9]\d* kernels' results differ/);
      if (!output.includes("nothing to emulate")) expect(output).toMatch(tables);
      expect(status).toBe(0);
    },
  );
});

describe("check-tables", () => {
  it("refuses a way that there is not", () => {
    expect(checkTables("riscv")).toEqual({ status: 1, output: "check-tables: riscv: expected native, avx512, neon\n" });
  });
});
