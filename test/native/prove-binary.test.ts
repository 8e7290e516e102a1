import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { cacheFolder } from "../../src/cache-folder.ts";
import { proveBinary } from "../../src/native/prove-binary.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const folder = temporaryFolder();
const home = path.join(os.homedir(), ".cache", "layerwise");

afterEach(() => vi.unstubAllEnvs());

describe("cacheFolder", () => {
  it("lies in XDG_CACHE_HOME where that is a whole path, else in ~/.cache", () => {
    vi.stubEnv("XDG_CACHE_HOME", folder);
    expect(cacheFolder()).toBe(path.join(folder, "layerwise"));
    vi.stubEnv("XDG_CACHE_HOME", "relative/folder");
    expect(cacheFolder()).toBe(home);
    vi.stubEnv("XDG_CACHE_HOME", undefined);
    expect(cacheFolder()).toBe(home);
  });
});

describe("proveBinary", () => {
  it("remembers in the user's cache folder what it cannot remember beside the binary", () => {
    const cache = path.join(folder, "cache");
    vi.stubEnv("XDG_CACHE_HOME", cache);
    const binary = path.join(folder, "addon.node");
    writeFileSync(binary, "no binary");
    mkdirSync(path.join(folder, "addon.node.proof"));
    const problem = proveBinary(binary);
    expect(problem).toMatch(/^it failed when it was tried/);
    const [proof] = readdirSync(path.join(cache, "layerwise"));
    const place = path.join(cache, "layerwise", proof);
    expect(readFileSync(place, "utf8").split("\n")[1]).toBe(problem);
    // The second time the answer comes from there.
    writeFileSync(place, `${readFileSync(place, "utf8").split("\n")[0]}\nit was asked before\n`);
    expect(proveBinary(binary)).toBe("it was asked before");
  });

  it("says where there is no file", () => {
    expect(proveBinary(path.join(folder, "none.node"))).toBe("there is no such file");
  });
});
