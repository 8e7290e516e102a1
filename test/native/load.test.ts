import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { aligned, alignedBytes, isAligned } from "../../src/native/aligned.ts";
import { openEngine } from "../../src/native/load.ts";
import { TOOL_VERSION } from "../../src/version.ts";
import { ADDON_STATE, HAS_ADDON, ISAS, theAddon } from "./engines.ts";

const folder = mkdtempSync(path.join(tmpdir(), "layerwise-load-"));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
  vi.resetModules();
});

/** The loader as a new process would find it, with LAYERWISE_NATIVE set. */
async function freshLoader(setting: string) {
  vi.resetModules();
  vi.stubEnv("LAYERWISE_NATIVE", setting);
  return await import("../../src/native/load.ts");
}

/** Why nothing was loaded. */
async function reasonOf(setting: string): Promise<string> {
  const native = (await freshLoader(setting)).loadNative();
  return native.addon ? "loaded" : native.reason;
}

/** A stand-in for a binary: `require` takes a script as well. */
function standIn(name: string, text: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe("a missing addon is explained", () => {
  it("switched off", async () => {
    expect(await reasonOf("off")).toBe("it is switched off by LAYERWISE_NATIVE=off");
  });

  it("no such file", async () => {
    expect(await reasonOf(path.join(folder, "nothing.node"))).toMatch(/nothing\.node: there is no such file/);
  });

  it("not a library", async () => {
    const file = standIn("text.node", "not a library");
    expect(await reasonOf(file)).toMatch(/text\.node: it failed when it was tried \(Error: .*\); build it anew with/);
  });

  it("a library that ends the process", async () => {
    const file = standIn("crash.cjs", "process.abort();");
    expect(await reasonOf(file)).toMatch(/crash\.cjs: it crashed when it was tried \(SIGABRT\)/);
  });

  it("another version", async () => {
    const file = standIn("old.cjs", 'exports.version = "0.0.1"; exports.isas = [];');
    expect(await reasonOf(file)).toBe(
      `${file} was built for version 0.0.1, this is ${TOOL_VERSION}: run npm run build:native`,
    );
  });

  it("an engine is refused with the same reason and with what to do", async () => {
    const { openEngine: open } = await freshLoader("off");
    expect(() => open()).toThrow(
      expect.objectContaining({
        code: "EXECUTOR",
        message: "native engine: expected an addon, found none: it is switched off by LAYERWISE_NATIVE=off",
        hint: "build it with npm run build:native, or use --executor tfjs",
      }),
    );
  });
});

describe("a binary is tried once", () => {
  it("in a process of its own, and the answer is kept beside it", async () => {
    const counter = path.join(folder, "counter");
    const text = `require("node:fs").appendFileSync(${JSON.stringify(counter)}, process.pid + "\\n");
      exports.version = "0.0.1"; exports.isas = [];`;
    const file = standIn("counted.cjs", text);
    await reasonOf(file);
    await reasonOf(file);
    const loads = readFileSync(counter, "utf8").trim().split("\n");
    // One trial elsewhere, and one load here: `require` keeps it.
    expect(loads).toHaveLength(2);
    expect(loads[0]).not.toBe(String(process.pid));
    expect(loads[1]).toBe(String(process.pid));
    expect(readFileSync(`${file}.proof`, "utf8")).toMatch(/^\d.*\nworks\n$/);
  });

  it("and anew when it has changed", async () => {
    const file = standIn("changing.cjs", "process.abort();");
    expect(await reasonOf(file)).toMatch(/SIGABRT/);
    expect(existsSync(`${file}.proof`)).toBe(true);
    standIn("changing.cjs", 'exports.version = "0.0.2"; exports.isas = [];');
    expect(await reasonOf(file)).toMatch(/was built for version 0\.0\.2/);
  });
});

describe.skipIf(!HAS_ADDON)(`engines (${ADDON_STATE})`, () => {
  it("take the fastest instruction set and the physical cores", () => {
    using engine = openEngine();
    expect(engine.isa).toBe(ISAS[ISAS.length - 1]);
    expect(engine.threads).toBe(theAddon().physicalCores);
  });

  it("take what was asked for", () => {
    for (const isa of ISAS) {
      using engine = openEngine({ isa, threads: 3 });
      expect([engine.isa, engine.threads]).toEqual([isa, 3]);
    }
  });

  it("refuse an unknown instruction set and name those that there are", () => {
    expect(() => openEngine({ isa: "avx3" })).toThrow(
      expect.objectContaining({
        code: "ISA",
        message: `isa: expected one of ${ISAS.join(", ")}, found avx3: no such instruction set in this build`,
      }),
    );
  });

  it("refuse an instruction set that this machine lacks and say what is missing", () => {
    for (const { name, unavailable } of theAddon().isas) {
      if (unavailable === null) continue;
      expect(() => openEngine({ isa: name })).toThrow(`found ${name}: ${unavailable}`);
      expect(() => theAddon().createEngine({ isa: name, threads: 1 })).toThrow(RangeError);
    }
  });

  it("refuse a number of threads that is none", () => {
    for (const threads of [0, -1, 1.5, Number.NaN, 1e9]) {
      expect(() => openEngine({ threads })).toThrow(expect.objectContaining({ code: "THREADS" }));
    }
  });
});

describe.skipIf(!HAS_ADDON)(`aligned memory (${ADDON_STATE})`, () => {
  it("begins at multiples of 64, zeroed, of any length", () => {
    for (const length of [0, 1, 63, 64, 1000, (1 << 20) + 5]) {
      const bytes = alignedBytes(length);
      expect(bytes.length).toBe(length);
      expect(isAligned(bytes)).toBe(true);
      expect(bytes.every((byte) => byte === 0)).toBe(true);
    }
  });

  it("is taken as it is, and anything else is copied", () => {
    const bytes = alignedBytes(256);
    const part = bytes.subarray(64, 128);
    expect(aligned(part)).toBe(part);
    const shifted = bytes.subarray(1, 100).fill(7);
    const copy = aligned(shifted);
    expect(copy).not.toBe(shifted);
    expect(isAligned(copy)).toBe(true);
    expect(copy).toEqual(shifted);
    const ordinary = new Uint8Array(200).fill(3);
    expect(aligned(ordinary)).not.toBe(ordinary);
    expect(aligned(ordinary)).toEqual(ordinary);
  });

  it("of a mapped file is taken as it is", () => {
    const file = path.join(folder, "mapped");
    writeFileSync(file, Buffer.alloc(8192, 5));
    const mapped = new Uint8Array(theAddon().mapFile(file, 4096, 4096));
    expect(aligned(mapped)).toBe(mapped);
    expect(mapped.every((byte) => byte === 5)).toBe(true);
    mapped.fill(9);
    expect(readFileSync(file).every((byte) => byte === 5)).toBe(true);
  });
});
