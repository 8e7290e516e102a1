import { describe, expect, it } from "vitest";
import { reachableFrom, SOURCE_FILES } from "./source-files.ts";

const OFFLINE = /^(calibration|scoring|planning|quantization|pruning|training|evaluation|pipeline|report)\//;

describe("entry points", () => {
  it("layerwise: the device reaches no offline stage", () => {
    const { files } = reachableFrom("index.ts");
    expect(files.size).toBeGreaterThan(20);
    expect([...files].filter((file) => OFFLINE.test(file))).toEqual([]);
  });

  it("layerwise/plan: no node: module, so that it bundles for a browser", () => {
    const { files, modules } = reachableFrom("plan-entry.ts");
    expect(files.size).toBeGreaterThan(20);
    expect([...modules].filter((module) => module.startsWith("node:"))).toEqual([]);
    expect([...modules].filter((module) => module.startsWith("@tensorflow/"))).toEqual([]);
  });

  it.each(["index.ts", "decoding/open-model.ts", "runtime/native/executor.ts"])(
    "a native run loads no TensorFlow: %s imports it only when tfjs is chosen",
    (entry) => {
      const { files, modules } = reachableFrom(entry);
      expect(files.size).toBeGreaterThan(20);
      expect([...modules].filter((module) => module.startsWith("@tensorflow/"))).toEqual([]);
      // The table's entry says what it is, and loads the rest when it is chosen.
      const loaded = [...files].filter((file) => file.startsWith("runtime/tfjs/") && !file.endsWith("/declaration.ts"));
      expect(loaded).toEqual([]);
    },
  );

  const commands = SOURCE_FILES.filter((file) => file.startsWith("cli/commands/"));
  it.each(["cli/cli.ts", ...commands])(
    "the command line starts without TensorFlow and without offline stages: %s",
    (entry) => {
      const { files, modules } = reachableFrom(entry);
      expect(commands.length).toBeGreaterThan(10);
      expect([...modules].filter((module) => module.startsWith("@tensorflow/"))).toEqual([]);
      expect([...files].filter((file) => OFFLINE.test(file))).toEqual([]);
    },
  );

  it("a command that prints a help text of its own loads no other", () => {
    expect([...reachableFrom("cli/cli.ts").files].filter((file) => file.startsWith("cli/commands/"))).toEqual([]);
  });
});
