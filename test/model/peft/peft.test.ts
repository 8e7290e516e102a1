import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openSafetensors } from "../../../src/formats/safetensors/index.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import type { DecoderSpec } from "../../../src/model/decoder-spec.ts";
import type { LowRankPart } from "../../../src/model/low-rank.ts";
import { readPeftAdapter } from "../../../src/model/peft/read.ts";
import { writePeftAdapter } from "../../../src/model/peft/write.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomParts, withCommonInputs } from "../../support/adapters.ts";
import { expectSame } from "../../support/expect-same.ts";
import { ARCHITECTURES, architectureNames } from "../../support/fixtures.ts";

const root = temporaryFolder();

async function specOf(name: string): Promise<DecoderSpec> {
  const checkpoint = await openCheckpoint(path.join(ARCHITECTURES, name));
  await checkpoint.close();
  return checkpoint.spec;
}

async function written(spec: DecoderSpec, parts: readonly LowRankPart[], name: string): Promise<string> {
  const folder = path.join(root, name);
  await writePeftAdapter(folder, spec, parts, { base: "somebody/model" });
  return folder;
}

describe("PEFT adapters", () => {
  it.each(architectureNames())("come back as they were written: %s", async (name) => {
    const spec = await specOf(name);
    const all = randomParts(spec);
    const some = randomParts(spec, { rank: 2, factor: 2, has: (block, role) => block === 1 && role !== "attn.k" });
    for (const [i, parts] of [all, withCommonInputs(all), some, withCommonInputs(some)].entries()) {
      const folder = await written(spec, parts, `${name}-${i}`);
      const found = await readPeftAdapter(folder, spec);
      expect(found.base).toBe("somebody/model");
      expectSame(found.parts, parts);
      expect(readdirSync(folder)).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
      // The same parts give the same bytes, in place of the adapter that is there.
      const before = readFileSync(path.join(folder, "adapter_model.safetensors"));
      await writePeftAdapter(folder, spec, found.parts, { base: found.base });
      expectSame(readFileSync(path.join(folder, "adapter_model.safetensors")), before);
    }
  });

  it("has GPT-NeoX's query_key_value head by head, one A where all have it", async () => {
    const spec = await specOf("neox-parallel");
    const parts = withCommonInputs(randomParts(spec, { has: (block) => block === 0 }));
    const file = await openSafetensors(path.join(await written(spec, parts, "neox"), "adapter_model.safetensors"));
    const name = "base_model.model.gpt_neox.layers.0.attention.query_key_value";
    const { attention } = spec.blocks[0];
    if (!attention) throw new Error("no attention");
    const { headDim, heads } = attention;
    expect(file.tensor(`${name}.lora_A.weight`).shape).toEqual([3, spec.hiddenSize]);
    const b = await file.readF32(`${name}.lora_B.weight`, 0, 3 * heads * headDim * 3);
    await file.close();
    const [q, k, v] = parts;
    for (let row = 0; row < 3 * heads * headDim; row++) {
      const head = Math.floor(row / (3 * headDim));
      const part = [q, k, v][Math.floor(row / headDim) % 3];
      const own = head * headDim + (row % headDim);
      expect(b.slice(row * 3, row * 3 + 3)).toEqual(part.b.slice(own * 3, own * 3 + 3));
    }
  });

  it("names modules by their last word where all of that word have an addition, and odd ranks by their path", async () => {
    const spec = await specOf("llama-gqa");
    const wide = randomParts(spec, { rank: 5, factor: 0.5, has: (block, role) => block === 0 && role === "attn.q" });
    const rest = randomParts(spec, { has: (block, role) => role === "attn.q" && block > 0 });
    const one = randomParts(spec, { has: (block, role) => role === "mlp.down" && block === 1 });
    const folder = await written(spec, [...wide, ...rest, ...one], "patterns");
    const config: unknown = JSON.parse(readFileSync(path.join(folder, "adapter_config.json"), "utf8"));
    expect(config).toMatchObject({
      target_modules: ["q_proj", "model.layers.1.mlp.down_proj"],
      r: 3,
      lora_alpha: 2.25,
      rank_pattern: { "model.layers.0.self_attn.q_proj": 5 },
      alpha_pattern: { "model.layers.0.self_attn.q_proj": 2.5 },
    });
  });

  it("takes PEFT's other words for the same: rslora, patterns, names of the bare decoder", async () => {
    const spec = await specOf("llama-gqa");
    const folder = await written(spec, randomParts(spec, { has: (_, role) => role === "attn.q" }), "words");
    const file = path.join(folder, "adapter_config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    const alpha_pattern = { "^model\\.layers\\.0\\.self_attn\\.q_proj": 6, "1.self_attn.q_proj": 9 };
    writeFileSync(
      file,
      JSON.stringify({ ...config, use_rslora: true, lora_alpha: 3, alpha_pattern, lora_dropout: 0.1 }),
    );
    const { parts } = await readPeftAdapter(folder, spec);
    const root3 = Math.sqrt(3);
    expect(parts.map(({ factor }) => factor)).toEqual([6 / root3, 9 / root3, ...parts.slice(2).map(() => 3 / root3)]);
  });

  it("does not write into a folder of other files", async () => {
    const spec = await specOf("llama-gqa");
    const folder = root;
    writeFileSync(path.join(folder, "notes.txt"), "mine");
    const writing = writePeftAdapter(folder, spec, randomParts(spec), { base: null });
    await expect(writing).rejects.toThrow("expected an adapter's folder or none, found a folder with other files");
  });
});
