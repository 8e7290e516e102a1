import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { commandLine } from "../cli/command-line.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { makeCheckpoint, TINY_CONFIG, tinyTensors } from "../model/checkpoint-fixture.ts";
import { writeByteTokenizer } from "../support/byte-tokenizer.ts";

const root = temporaryFolder();

/** The tiny Llama with a token for each byte. */
async function checkpoint(config: object): Promise<string> {
  const tensors = tinyTensors();
  for (const [seed, name] of ["model.embed_tokens.weight", "lm_head.weight"].entries()) {
    const values = Float32Array.from({ length: 256 * 8 }, (_, i) => Math.sin((seed + 1) * i * i));
    tensors.set(name, { shape: [256, 8], values });
  }
  const sizes = { vocab_size: 256, bos_token_id: null, eos_token_id: null };
  const folder = await makeCheckpoint(root, { ...TINY_CONFIG, ...sizes, ...config }, tensors);
  writeByteTokenizer(folder);
  return folder;
}

async function outputOf(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await commandLine(args);
  expect(code, stderr).toBe(0);
  return stdout;
}

describe("tied-but-two-heads: a model whose config says tied and whose files have two heads is the one of the files", () => {
  let [tied, untied] = ["", ""];
  beforeAll(async () => {
    tied = await checkpoint({ tie_word_embeddings: true });
    untied = await checkpoint({ tie_word_embeddings: false });
  });

  it("says the same text", async () => {
    const text = (folder: string) => outputOf("run", folder, "ab", "--max-tokens", "8", "--raw");
    expect(await text(tied)).toBe(await text(untied));
  });

  it("inspect: two matrices, and the line that says why", async () => {
    const Found = z.object({ spec: z.object({ tied: z.boolean() }), notes: z.array(z.string()) });
    const inspected = Found.parse(JSON.parse(await outputOf("inspect", tied, "--json")));
    expect(inspected.spec.tied).toBe(false);
    expect(inspected.notes.join()).toContain('"lm_head.weight" differs from "model.embed_tokens.weight"');
    expect(Found.parse(JSON.parse(await outputOf("inspect", untied, "--json"))).notes).toEqual([]);
  });

  it("compress: the same weights in the artifact, export-gguf: the same file", async () => {
    const weights = async (folder: string, name: string): Promise<Buffer[]> => {
      const out = path.join(root, name);
      const recipe = ["--recipe", "uniform", "--budget", "1 MiB", "--context", "16"];
      await outputOf("compress", folder, ...recipe, "--out", out);
      const artifact = path.join(out, "artifact");
      const files = readdirSync(artifact).filter((file) => file.startsWith("weights-"));
      return files.map((file) => readFileSync(path.join(artifact, file)));
    };
    const made = await weights(tied, "tied");
    expect(made.length).toBeGreaterThan(0);
    expect(made).toEqual(await weights(untied, "untied"));

    const gguf = async (folder: string): Promise<Buffer> => {
      const file = path.join(root, "model.gguf");
      writeFileSync(file, "");
      await outputOf("export-gguf", folder, file, "--no-tokenizer");
      return readFileSync(file);
    };
    const nameless = (bytes: Buffer) => bytes.toString("latin1").replaceAll(/checkpoint-\d+/g, "");
    expect(nameless(await gguf(tied))).toBe(nameless(await gguf(untied)));
  });
});
