import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readlinkSync, truncateSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../src/decoding/generate.ts";
import { type OpenModel, openModel } from "../../src/decoding/open-model.ts";
import { makeStories } from "../decoding/artifact-with-exits.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { ADDON_FILE, HAS_ADDON } from "./engines.ts";

const root = temporaryFolder();
/** Windows reads files instead of mapping them. */
const MAPS = HAS_ADDON && process.platform !== "win32";
const PAGE = 4096;

function scene(name: string) {
  const folder = mkdtempSync(path.join(root, "scene-"));
  const script = path.resolve("test/native/torn-mapping.mjs");
  return spawnSync(process.execPath, [script, ADDON_FILE, folder, name], { encoding: "utf8", timeout: 30_000 });
}

describe.skipIf(!MAPS)("sigbus-truncated-mapping: a mapped file that is cut short", () => {
  test("reads as zeros and is torn, and another mapping is whole", () => {
    const { stdout, signal } = scene("by pages");
    expect(signal).toBeNull();
    expect(JSON.parse(stdout)).toEqual([false, 2 * PAGE * 7, true, 64 * PAGE * 7, false]);
  });

  test("is torn too where it ends within its last page, of which the system gives no sign", () => {
    const { stdout } = scene("within a page");
    expect(JSON.parse(stdout)).toEqual([false, (64 * PAGE - 1) * 7, true, 64 * PAGE * 7, false]);
  });

  test("and any other SIGBUS ends the process as before", () => {
    expect(scene("a signal of somebody else")).toMatchObject({ signal: "SIGBUS", stdout: "" });
  });
});

describe.skipIf(!MAPS)("sigbus-truncated-mapping: a model whose weights are cut short", () => {
  beforeAll(() => makeStories(path.join(root, "stories")));

  async function say(model: OpenModel): Promise<string> {
    using session = model.createSession();
    let said = "";
    const prompt = model.tokenizer.encode("Once upon a");
    for await (const { text } of generate(session, model.tokenizer, prompt, { maxTokens: 8 })) {
      said += text;
    }
    return said;
  }

  test.skipIf(!existsSync("/proc/self/fd"))("keeps no file open, however many models are", async () => {
    const folder = path.join(root, "stories");
    const isOpen = (name: string) => {
      try {
        return readlinkSync(`/proc/self/fd/${name}`).startsWith(folder);
      } catch {
        return false;
      }
    };
    await using _model = await openModel(folder, { executor: "native", resident: false });
    expect(readdirSync("/proc/self/fd").filter(isOpen)).toEqual([]);
  });

  test.each(["native", "tfjs"] as const)("ends its passes on %s with one line, others go on", async (executor) => {
    const copy = path.join(root, `copy-${executor}`);
    cpSync(path.join(root, "stories"), copy, { recursive: true });
    await using torn = await openModel(copy, { executor, resident: false });
    await using whole = await openModel(path.join(root, "stories"), { executor, resident: false });
    const said = await say(whole);
    expect(await say(torn)).toBe(said);
    const weights = path.join(copy, "weights-00001-of-00001.safetensors");
    truncateSync(weights, 2 * PAGE);
    for (let i = 0; i < 2; i++) {
      await expect(say(torn)).rejects.toMatchObject({
        code: "FILE_TRUNCATED",
        message: expect.stringMatching(/copy-\w+\/weights-00001-of-00001\.safetensors: expected \d+ bytes as long as /),
      });
    }
    expect(await say(whole)).toBe(said);
  });

  test.each(["native", "tfjs"] as const)("gives no logits of a hidden state on %s either", async (executor) => {
    const copy = path.join(root, `head-${executor}`);
    cpSync(path.join(root, "stories"), copy, { recursive: true });
    await using model = await openModel(copy, { executor, resident: false });
    const hidden: unknown = await model.executor.embed(Int32Array.of(1));
    expect(await model.executor.logits(hidden)).toHaveLength(model.executor.spec.vocabSize);
    truncateSync(path.join(copy, "weights-00001-of-00001.safetensors"), 2 * PAGE);
    await expect(model.executor.logits(hidden)).rejects.toMatchObject({ code: "FILE_TRUNCATED" });
    model.executor.release(hidden);
  });
});
