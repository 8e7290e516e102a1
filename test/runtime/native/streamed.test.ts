import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Artifact, openArtifact } from "../../../src/artifact/reader.ts";
import { adaptedSource } from "../../../src/model/adapted-source.ts";
import { leastStreamBytes, planStream } from "../../../src/model/stream-plan.ts";
import { createNativeExecutor, type NativeExecutor } from "../../../src/runtime/native/executor.ts";
import { Random } from "../../../src/tensor/random.ts";
import { makeArtifactOf } from "../../decoding/artifact-with-exits.ts";
import { randomParts } from "../../support/adapters.ts";
import { ARCHITECTURES, NEOX, STORIES } from "../../support/fixtures.ts";
import { tokens } from "../executor-cases.ts";
import { HAS_ADDON, needsAddon } from "./addon-state.ts";

const CHECKPOINTS: Readonly<Record<string, string>> = {
  "GPT-NeoX": NEOX,
  Llama: STORIES,
  "Llama, tied": path.join(ARCHITECTURES, "llama-tied"),
  Phi: path.join(ARCHITECTURES, "phi"),
};
const IDS = tokens(40);

/** Hidden states and logits of a sequence that is run in pieces of some rows and some blocks, drawn by chance. */
async function pieces(executor: NativeExecutor, seed: number): Promise<Float32Array> {
  const random = new Random(seed);
  const cache = executor.createCache({ maxTokens: IDS.length });
  const { blocks } = executor.spec;
  const out: number[] = [];
  for (let done = 0; done < IDS.length; ) {
    const count = Math.min(IDS.length - done, 1 + Math.floor(random.next() * 9));
    let hidden = await executor.embed(Int32Array.from(IDS.slice(done, done + count)));
    for (let from = 0; from < blocks.length; ) {
      const to = Math.min(blocks.length, from + 1 + Math.floor(random.next() * blocks.length));
      const next = await executor.runBlocks(hidden, from, to, [{ cache, position: done, count }]);
      executor.release(hidden);
      hidden = next;
      from = to;
    }
    out.push(...(await executor.read(hidden)), ...(await executor.logits(hidden)));
    out.push(...(await executor.answers(hidden, Int32Array.of(count - 1), { head: "output" })).best);
    executor.release(hidden);
    done += count;
  }
  cache.dispose();
  return Float32Array.from(out);
}

describe.skipIf(!HAS_ADDON)(needsAddon("streamed weights"), () => {
  const root = mkdtempSync(path.join(tmpdir(), "layerwise-streamed-"));
  const folders = Object.fromEntries(Object.keys(CHECKPOINTS).map((name, i) => [name, path.join(root, String(i))]));
  beforeAll(async () => {
    // The first is cut into several files.
    for (const [name, checkpoint] of Object.entries(CHECKPOINTS)) {
      await makeArtifactOf(checkpoint, folders[name], [], name === "GPT-NeoX" ? 500_000 : undefined);
    }
  });
  const open: Artifact[] = [];
  afterAll(async () => {
    for (const artifact of open) await artifact.close();
  });
  const artifactOf = async (name: string, mapFile?: null) => {
    const artifact = await openArtifact(folders[name], mapFile === null ? { mapFile } : {});
    open.push(artifact);
    return artifact;
  };

  test.each(Object.keys(CHECKPOINTS))("of %s give the bits of mapped ones, whatever room they have", async (name) => {
    await using mapped = await createNativeExecutor(await artifactOf(name));
    const source = await artifactOf(name, null);
    const least = leastStreamBytes(source);
    const all = planStream(source, Number.MAX_SAFE_INTEGER)?.heldBytes ?? expect.fail("no plan");
    for (const [seed, weightRoomBytes] of [undefined, Math.round((least + all) / 2), all - 1, all].entries()) {
      await using streamed = await createNativeExecutor(source, { residency: "streamed", weightRoomBytes });
      const { residency, streamed: how } = streamed.info;
      expect(residency).toBe("streamed");
      expect(how?.heldBytes).toBeLessThanOrEqual(weightRoomBytes ?? least);
      if (weightRoomBytes !== all) expect(how?.tokenBytes).toBeGreaterThan(0);
      expect(await pieces(streamed, seed)).toEqual(await pieces(mapped, seed));
      expect(streamed.liveHidden).toBe(0);
    }
  });

  test("have what is added beside them as mapped ones have", async () => {
    const source = await artifactOf("Phi", null);
    const parts = randomParts(source.spec, { scale: 0.3 });
    await using mapped = await createNativeExecutor(adaptedSource(await artifactOf("Phi"), parts));
    await using streamed = await createNativeExecutor(adaptedSource(source, parts), { residency: "streamed" });
    await using plain = await createNativeExecutor(await artifactOf("Phi"));
    expect(streamed.info.streamed?.tokenBytes).toBeGreaterThan(0);
    const found = await pieces(streamed, 3);
    expect(found).toEqual(await pieces(mapped, 3));
    expect(found).not.toEqual(await pieces(plain, 3));
  });

  test("stop between blocks where they are told to", async () => {
    const source = await artifactOf("GPT-NeoX", null);
    await using streamed = await createNativeExecutor(source, { residency: "streamed" });
    const hidden = await streamed.embed(Int32Array.of(1));
    const span = { cache: null, position: 0, count: 1 };
    const options = { signal: AbortSignal.abort() };
    const run = streamed.runBlocks(hidden, 0, streamed.spec.blocks.length, [span], options);
    await expect(run).rejects.toThrow(/stopped/);
    const whole = await streamed.runBlocks(hidden, 0, streamed.spec.blocks.length, [span]);
    for (const state of [hidden, whole]) streamed.release(state);
  });

  test("need room for two buffers", async () => {
    const source = await artifactOf("Llama", null);
    const weightRoomBytes = leastStreamBytes(source) - 1;
    const made = createNativeExecutor(source, { residency: "streamed", weightRoomBytes });
    await expect(made).rejects.toMatchObject({ code: "MEMORY_LIMIT", message: expect.stringContaining("two buffers") });
  });
});
