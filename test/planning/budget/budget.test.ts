import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseYamlDocument } from "../../../src/formats/yaml-document.ts";
import { resolveBudget } from "../../../src/planning/budget/budget.ts";
import { loadDeviceProfile, readBudget } from "../../../src/planning/budget/device-file.ts";
import { DeviceProfile } from "../../../src/planning/budget/device-profile.ts";
import { type MemoryFiles, readFreeMemory } from "../../../src/planning/budget/free-memory.ts";
import { parseBytes } from "../../../src/planning/budget/size-expression.ts";

const MIB = 2 ** 20;
const DEVICES = readdirSync(path.resolve("pipelines/devices")).map((file) => path.basename(file, ".yaml"));

/** A machine whose system files are given. */
function machine(files: Record<string, string>, freeBytes = 0): MemoryFiles {
  return { read: (file) => files[file] ?? null, freeBytes: () => freeBytes };
}

describe("readFreeMemory", () => {
  const meminfo = "MemTotal:  8388608 kB\nMemAvailable:  4194304 kB\n";

  it("takes what is available, or the operating system's word without /proc", () => {
    expect(readFreeMemory(machine({ "/proc/meminfo": meminfo })).bytes).toBe(4096 * MIB);
    expect(readFreeMemory(machine({}, 77)).bytes).toBe(77);
  });

  it("takes the room of the tightest cgroup v2 where that is lower, and does not count droppable pages", () => {
    const free = readFreeMemory(
      machine({
        "/proc/meminfo": meminfo,
        "/proc/self/cgroup": "0::/a/b\n",
        "/sys/fs/cgroup/a/b/memory.max": "max\n",
        "/sys/fs/cgroup/a/b/memory.current": "5\n",
        "/sys/fs/cgroup/a/memory.max": `${1024 * MIB}\n`,
        "/sys/fs/cgroup/a/memory.current": `${300 * MIB}\n`,
        "/sys/fs/cgroup/a/memory.stat": `anon 1\ninactive_file ${100 * MIB}\n`,
      }),
    );
    expect(free.bytes).toBe(824 * MIB);
    expect(free.source).toContain("/sys/fs/cgroup/a: limit 1.00 GiB, 200 MiB in use");
  });

  it("reads cgroup v1, mounted at its root as in a container", () => {
    const v1 = {
      "/proc/meminfo": meminfo,
      "/proc/self/cgroup": "3:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${512 * MIB}\n`,
      "/sys/fs/cgroup/memory/memory.usage_in_bytes": `${112 * MIB}\n`,
    };
    expect(readFreeMemory(machine(v1)).bytes).toBe(400 * MIB);
    const unlimited = { ...v1, "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n" };
    expect(readFreeMemory(machine(unlimited)).bytes).toBe(4096 * MIB);
  });

  it("finds some memory on this machine", () => {
    expect(readFreeMemory().bytes).toBeGreaterThan(0);
  });
});

describe("mib-means-bits: words and profiles that are nearly right", () => {
  it.each([
    ["Auto", "auto"],
    ["atuo", "auto"],
    ["Phone-4GB", "phone-4gb"],
    ["phone_4gb", "phone-4gb"],
    ["phone4gb", "phone-4gb"],
    ["laptop-8bg", "laptop-8gb"],
  ])("%s", async (text, meant) => {
    await expect(readBudget(text)).rejects.toMatchObject({
      code: "DEVICE_UNKNOWN",
      hint: expect.stringContaining(`did you mean ${meant}`),
    });
  });

  it.each([
    ["2 Gib", 'found "Gib", which counts bits (did you mean GiB?)'],
    ["2,5 GiB", 'found "2,5" (write 2.5)'],
    ["4096", "found the plain number 4096 (did you mean 4096 MiB?)"],
  ])("a device of %s", (memory, message) => {
    const parse = () => parseYamlDocument(`name: board\nmemory: ${memory}\n`, "board.yaml", DeviceProfile);
    expect(parse).toThrow(`board.yaml:2: memory: size "${memory}": expected`);
    expect(parse).toThrow(message);
  });
});

describe("resolveBudget", () => {
  const free = (bytes: number) => ({ freeMemory: () => ({ bytes, source: "test" }) });

  it("takes an expression as it is", async () => {
    expect(await resolveBudget("160 MiB")).toMatchObject({ bytes: 160 * MIB, kind: "expression", device: null });
  });

  it("leaves a tenth of a large memory and 256 MiB of a small one, and says so", async () => {
    expect((await resolveBudget("auto", free(10_000 * MIB))).bytes).toBe(9000 * MIB);
    const small = await resolveBudget("auto", free(1024 * MIB));
    expect(small.bytes).toBe(768 * MIB);
    expect(small.explanation).toBe("free memory (test): 1.00 GiB, reserve 256 MiB: budget 768 MiB (805,306,368 bytes)");
    expect((await resolveBudget("auto", { ...free(1024 * MIB), reserve: "24 MiB" })).bytes).toBe(1000 * MIB);
  });

  it("refuses when the reserve takes all", async () => {
    await expect(resolveBudget("auto", free(100 * MIB))).rejects.toThrow(
      /expected more memory than the reserve of 256 MiB/,
    );
  });

  it("takes a device's memory less its reserve", async () => {
    const device = DeviceProfile.parse({ name: "x", memory: "1 GiB", reserve: "256 MiB", context: 512 });
    expect(await resolveBudget("x", { device })).toMatchObject({
      bytes: 768 * MIB,
      kind: "device",
      device: { context: 512 },
    });
  });
});

describe("device profiles", () => {
  it.each(DEVICES)("%s loads and leaves a budget", async (name) => {
    const profile = await loadDeviceProfile(name);
    expect(profile.name).toBe(name);
    expect((await readBudget(name)).bytes).toBeLessThanOrEqual(parseBytes(profile.memory));
  });

  it("refuses an unknown device, a missing file and a wrong field in one line", async () => {
    await expect(readBudget("phone-5gb")).rejects.toMatchObject({
      code: "DEVICE_UNKNOWN",
      message: expect.stringContaining(DEVICES.join(", ")),
      hint: "did you mean phone-4gb?",
    });
    await expect(readBudget("nowhere/x.yaml")).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
    expect(DeviceProfile.safeParse({ name: "x", memory: "4G" }).success).toBe(false);
  });

  it("says once what was found in a size", () => {
    const text = "name: x\nmemory: 1 m\n";
    expect(() => parseYamlDocument(text, "x.yaml", DeviceProfile)).toThrow(
      /measures no memory \(did you mean MB or MiB\?\)$/,
    );
  });

  it("reads auto from this machine", async () => {
    const budget = await readBudget("auto", { reserve: "1 MiB" });
    expect(budget.kind).toBe("auto");
    expect(budget.bytes).toBeGreaterThan(0);
  });
});
