import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";

const HERE = import.meta.dirname;
const ENGINE = path.join(HERE, "../../../src/native/engine");
const SOURCES = [
  path.join(HERE, "main.cpp"),
  path.join(HERE, "page-memory-check.cpp"),
  path.join(HERE, "block-stream-check.cpp"),
  ...["page-memory.cpp", "slab-memory.cpp", "cpu-quota.cpp", "block-stream.cpp", "uncached-file.cpp"].map((name) =>
    path.join(ENGINE, name),
  ),
];
const TIMEOUT_MS = 300_000;
const folder = mkdtempSync(path.join(tmpdir(), "layerwise-engine-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Links the checks with a sanitizer; null where the compiler or the sanitizer's library is missing. */
function program(sanitizer: string): string | null {
  const made = path.join(folder, sanitizer.replace(",", "-"));
  const flags = ["-std=c++17", "-O1", "-g1", "-Wall", "-Wextra", "-Werror", `-fsanitize=${sanitizer}`, "-pthread"];
  const { status, stderr } = spawnSync("g++", [...flags, ...SOURCES, "-o", made], { encoding: "utf8" });
  if (status !== 0 && /error:/.test(stderr ?? "") && !/cannot find/.test(stderr)) throw new Error(stderr);
  return status === 0 ? made : null;
}

/**
 * A sanitizer's library that the tests themselves were started with does not go with the one that the program is built
 * with.
 */
const env = { ...process.env, LD_PRELOAD: "" };

const run = (made: string, ...words: string[]) => {
  const { status, stdout, stderr } = spawnSync(made, words, { encoding: "utf8", env });
  return { status, output: `${stdout}${stderr}` };
};

const addresses = program("address,undefined");
const threads = program("thread");
const skipped = (made: string | null) => (made ? "" : ": skipped, g++ and the sanitizer's library are needed");

describe("memory of keys and values", { timeout: TIMEOUT_MS }, () => {
  it.skipIf(!addresses)(`keeps its promises and its bounds${skipped(addresses)}`, () => {
    expect(run(addresses ?? "", "page-memory")).toEqual({ status: 0, output: "page memory: 0 promises broken\n" });
  });

  it.skipIf(!threads)(`is safe between threads${skipped(threads)}`, () => {
    expect(run(threads ?? "", "page-memory")).toEqual({ status: 0, output: "page memory: 0 promises broken\n" });
  });
});

describe("parts that are streamed", { timeout: TIMEOUT_MS }, () => {
  it.skipIf(!addresses)(`keep their promises and their bounds${skipped(addresses)}`, () => {
    expect(run(addresses ?? "", "block-stream")).toEqual({ status: 0, output: "block stream: 0 promises broken\n" });
  });

  it.skipIf(!threads)(`are safe between threads${skipped(threads)}`, () => {
    expect(run(threads ?? "", "block-stream")).toEqual({ status: 0, output: "block stream: 0 promises broken\n" });
  });
});

/** A root folder with the files given, and the cores that its quotas allow. */
function coresUnder(files: Record<string, string>): string {
  const root = mkdtempSync(path.join(folder, "root-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return run(addresses ?? "", "cores-of-quota", root).output;
}

const GROUPS = "proc/self/cgroup";
const MOUNTED = "sys/fs/cgroup";

describe.skipIf(!addresses)(`quotas of control groups${skipped(addresses)}`, () => {
  it.each([
    { max: "200000 100000", cores: 2 },
    { max: "250000 100000", cores: 3 },
    { max: "1000 100000", cores: 1 },
    { max: "max 100000", cores: 0 },
    { max: "", cores: 0 },
    { max: "-5 0", cores: 0 },
    { max: "9000000000000000000 1", cores: 1 << 20 },
  ])("version 2: $max is $cores", ({ max, cores }) => {
    expect(coresUnder({ [GROUPS]: "0::/a\n", [`${MOUNTED}/a/cpu.max`]: max })).toBe(`${cores}\n`);
  });

  it("takes the least of a group and those around it", () => {
    const inner = { [GROUPS]: "0::/a/b\n", [`${MOUNTED}/a/b/cpu.max`]: "400000 100000" };
    expect(coresUnder(inner)).toBe("4\n");
    expect(coresUnder({ ...inner, [`${MOUNTED}/a/cpu.max`]: "150000 100000" })).toBe("2\n");
    expect(coresUnder({ ...inner, [`${MOUNTED}/cpu.max`]: "100000 100000" })).toBe("1\n");
  });

  it("finds a container's own group at the mounted folder", () => {
    for (const group of ["/", "/docker/0123", "/../other"]) {
      expect(coresUnder({ [GROUPS]: `0::${group}\n`, [`${MOUNTED}/cpu.max`]: "300000 100000" })).toBe("3\n");
    }
  });

  it("reads version 1, alone and beside version 2", () => {
    const lines = "5:memory:/m\n3:cpu,cpuacct:/c\n2:cpuset:/s\n0::/\n";
    const quota = (us: string) => ({
      [GROUPS]: lines,
      [`${MOUNTED}/cpu/c/cpu.cfs_quota_us`]: us,
      [`${MOUNTED}/cpu/c/cpu.cfs_period_us`]: "50000\n",
    });
    expect(coresUnder(quota("160000\n"))).toBe("4\n");
    expect(coresUnder(quota("-1\n"))).toBe("0\n");
    expect(coresUnder({ ...quota("160000\n"), [`${MOUNTED}/cpu.max`]: "100000 100000\n" })).toBe("1\n");
  });

  it("knows no limit without control groups", () => {
    expect(coresUnder({})).toBe("0\n");
    expect(coresUnder({ [GROUPS]: "nonsense\n:\n" })).toBe("0\n");
  });
});
