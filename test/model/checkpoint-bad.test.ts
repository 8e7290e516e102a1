import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { Interrupted, UserError } from "../../src/errors.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { checkWeights } from "../../src/model/checkpoint-check.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import {
  type MadeTensor,
  makeCheckpoint,
  TINY_CONFIG,
  tensorsWith,
  tinyTensors,
  writeTensors,
} from "./checkpoint-fixture.ts";

const root = temporaryFolder();

/** The UserError that `work` ends with: one line that starts with a path under the temporary folder. */
async function userError(work: Promise<unknown>): Promise<UserError> {
  const error = await work.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError)) throw error;
  expect(error.message).not.toMatch(/[\n\r]/);
  expect(error.message.startsWith(root)).toBe(true);
  return error;
}

async function refusal(folder: string): Promise<string> {
  const { code, message } = await userError(openCheckpoint(folder));
  return `${code} ${message.replaceAll(folder, "F")}`;
}

const without = (name: string) => tensorsWith({ [name]: null });

function changed(name: string, change: Partial<MadeTensor>): Map<string, MadeTensor> {
  const tensors = tinyTensors();
  const length = (change.shape ?? [1]).reduce((product, dimension) => product * dimension, 1);
  tensors.set(name, { shape: [length], values: new Float32Array(length), ...tensors.get(name), ...change });
  return tensors;
}

describe("the folder", () => {
  test("is missing", async () => {
    expect(await refusal(path.join(root, "nowhere"))).toBe("FILE_NOT_FOUND F: cannot read: no such file or folder");
  });

  test("is a file", async () => {
    const file = path.join(root, "a-file");
    writeFileSync(file, "x");
    expect(await refusal(file)).toBe("NOT_A_FOLDER F: cannot read: expected a folder, found a file");
    writeFileSync(file, "GGUF");
    expect(await refusal(file)).toBe("FOREIGN_FILE F: expected the folder of a checkpoint, found a GGUF file");
  });

  test("has no config.json", async () => {
    const folder = path.join(root, "empty");
    mkdirSync(folder);
    expect(await refusal(folder)).toBe("NO_CONFIG F: expected a checkpoint, found no config.json in it");
  });

  test.each([
    ['{"model_type": ', /^NOT_JSON F\/config.json: expected JSON: /],
    ["[1]", /^CONFIG F\/config.json: expected a JSON object/],
    ['{"model_type": "bert"}', /^CONFIG F\/config.json: model_type: .*found "bert"/],
  ])("has a config.json %s", async (config, expected) => {
    expect(await refusal(await makeCheckpoint(root, config))).toMatch(expected);
  });

  test.each(["adapter_config.json", "adapter_model.safetensors"])("has %s", async (name) => {
    const folder = await makeCheckpoint(root);
    writeFileSync(path.join(folder, name), "{}");
    expect(await refusal(folder)).toBe(`ADAPTER F/${name}: expected a whole model, found adapter weights`);
  });

  test("is quantized already", async () => {
    const folder = await makeCheckpoint(root, { ...TINY_CONFIG, quantization_config: { quant_method: "gptq" } });
    expect(await refusal(folder)).toBe(
      "ALREADY_QUANTIZED F/config.json: quantization_config: expected none, found a quantized checkpoint",
    );
  });

  test.each(["num_experts", "num_local_experts"])("has experts by %s", async (key) => {
    const folder = await makeCheckpoint(root, { ...TINY_CONFIG, model_type: "mixtral", [key]: 8 });
    expect(await refusal(folder)).toBe(`EXPERTS F/config.json: ${key}: expected a dense model, found 8 experts`);
  });

  test.each(["pytorch_model.bin", "consolidated.00.pth", "model.pt"])("has only the pickle %s", async (name) => {
    const folder = await makeCheckpoint(root, TINY_CONFIG, null);
    writeFileSync(path.join(folder, name), "x");
    expect(await refusal(folder)).toBe(`PICKLE F/${name}: expected safetensors, found pickle weights`);
  });

  test("has no weights, or another format's", async () => {
    const folder = await makeCheckpoint(root, TINY_CONFIG, null);
    expect(await refusal(folder)).toMatch(/^NO_WEIGHTS F: .*found no weights$/);
    writeFileSync(path.join(folder, "model.gguf"), "GGUF");
    expect(await refusal(folder)).toMatch(/^NO_WEIGHTS F: .*found model.gguf$/);
  });

  test("has several safetensors files and no index", async () => {
    const folder = await makeCheckpoint(root, TINY_CONFIG, null);
    for (const name of ["a", "b"]) await writeTensors(path.join(folder, `${name}.safetensors`), tinyTensors());
    expect(await refusal(folder)).toMatch(/^NO_INDEX F: .*found 2 safetensors files/);
  });

  test("has some of the numbered shards and no index", async () => {
    const folder = await makeCheckpoint(root, TINY_CONFIG, null);
    for (const name of ["1", "3"]) {
      await writeTensors(path.join(folder, `model-0000${name}-of-00003.safetensors`), tinyTensors());
    }
    expect(await refusal(folder)).toMatch(/^NO_INDEX F: .*found 2 safetensors files/);
  });
});

describe("shards", () => {
  async function sharded(
    edit: (weightMap: Record<string, string>) => unknown,
    stored = tinyTensors(),
  ): Promise<string> {
    const folder = await makeCheckpoint(root, TINY_CONFIG, null);
    await writeTensors(path.join(folder, "one.safetensors"), stored);
    const weightMap = Object.fromEntries([...tinyTensors().keys()].map((name) => [name, "one.safetensors"]));
    const index = edit(weightMap) ?? { weight_map: weightMap };
    writeFileSync(path.join(folder, "model.safetensors.index.json"), JSON.stringify(index));
    return folder;
  }
  const index = "F/model.safetensors.index.json";

  test("are missing", async () => {
    const folder = await sharded((map) => {
      map["lm_head.weight"] = "two.safetensors";
    }, without("lm_head.weight"));
    expect(await refusal(folder)).toBe(`MISSING_SHARD ${index}: expected 2 shards, found 1: no two.safetensors`);
  });

  test.each(["../one.safetensors", "/etc/one.safetensors", "a/../../x.safetensors", "..\\x.safetensors", "x.bin", ""])(
    "leave the folder or are no safetensors: %s",
    async (name) => {
      const folder = await sharded((map) => {
        map["lm_head.weight"] = name;
      });
      expect(await refusal(folder)).toMatch(/^BAD_INDEX F.*weight_map: expected the names of .safetensors files/);
    },
  );

  test("are missing, all of them", async () => {
    const folder = await sharded((map) => {
      for (const name of Object.keys(map)) map[name] = "gone.safetensors";
    });
    expect(await refusal(folder)).toBe(`MISSING_SHARD ${index}: expected 1 shards, found 0: no gone.safetensors`);
  });

  test("lack a tensor that the index lists and the model needs", async () => {
    const folder = await sharded(() => undefined, without("lm_head.weight"));
    expect(await refusal(folder)).toBe(
      'BAD_INDEX F/one.safetensors: expected tensor "lm_head.weight" by the index, found none',
    );
  });

  test("have an index of another form", async () => {
    expect(await refusal(await sharded(() => ({ weights: {} })))).toMatch(
      new RegExp(`^BAD_FIELD ${index}: weight_map`),
    );
    expect(await refusal(await sharded(() => ({ weight_map: {} })))).toMatch(/^BAD_INDEX F.*found none$/);
  });
});

describe("the weights", () => {
  const q = "model.layers.0.self_attn.q_proj.weight";

  test("are truncated", async () => {
    const folder = await makeCheckpoint(root);
    const file = path.join(folder, "model.safetensors");
    writeFileSync(file, readFileSync(file).subarray(0, -5));
    expect(await refusal(folder)).toMatch(/^BAD_SAFETENSORS F\/model.safetensors: .*expected \d+ bytes of data/);
  });

  test("lie about their header", async () => {
    const folder = await makeCheckpoint(root);
    const file = path.join(folder, "model.safetensors");
    const bytes = readFileSync(file);
    bytes.writeBigUInt64LE(99_000_000n);
    writeFileSync(file, bytes);
    expect(await refusal(folder)).toMatch(/^BAD_SAFETENSORS F\/model.safetensors: .*header length 99000000/);
  });

  test("lack a tensor", async () => {
    expect(await refusal(await makeCheckpoint(root, TINY_CONFIG, without(q)))).toBe(
      `MISSING_TENSOR F: expected tensor "${q}" by config.json, found none`,
    );
  });

  test("have another shape than config.json says", async () => {
    const tensors = changed(q, { shape: [8, 9], values: new Float32Array(72) });
    expect(await refusal(await makeCheckpoint(root, TINY_CONFIG, tensors))).toBe(
      `SHAPE_MISMATCH F/model.safetensors: tensor "${q}": expected shape [8, 8] by config.json, found [8, 9]`,
    );
  });

  test("have more blocks than config.json says", async () => {
    expect(await refusal(await makeCheckpoint(root, { ...TINY_CONFIG, num_hidden_layers: 1 }))).toMatch(
      /^SHAPE_MISMATCH F: expected only 1 blocks by config.json, found tensor "model.layers.1./,
    );
  });

  test("have a bias that config.json denies", async () => {
    const bias = q.replace("weight", "bias");
    const tensors = changed(bias, { shape: [8], values: new Float32Array(8) });
    expect(await refusal(await makeCheckpoint(root, TINY_CONFIG, tensors))).toBe(
      `SHAPE_MISMATCH F: expected no such bias by config.json, found tensor "${bias}"`,
    );
  });

  test("have a norm that config.json does not know", async () => {
    const norm = "model.layers.1.self_attn.q_norm.weight";
    const tensors = changed(norm, { shape: [2], values: new Float32Array(2) });
    expect(await refusal(await makeCheckpoint(root, TINY_CONFIG, tensors))).toBe(
      `SHAPE_MISMATCH F: expected no such norm by config.json, found tensor "${norm}"`,
    );
  });

  test("are integers, whatever their shape", async () => {
    for (const shape of [
      [8, 8],
      [64, 1],
    ]) {
      const integers = changed(q, { dtype: "I8", shape, bytes: new Uint8Array(64) });
      expect(await refusal(await makeCheckpoint(root, TINY_CONFIG, integers))).toMatch(
        /^ALREADY_QUANTIZED .*expected floating-point weights, found I8$/,
      );
    }
  });

  test("hold NaN and infinity: named by tensor and count, when read and by checkWeights", async () => {
    const tensors = tinyTensors();
    tensors.get(q)?.values.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], 30);
    tensors.get("lm_head.weight")?.values.set([Number.NaN]);
    const folder = await makeCheckpoint(root, TINY_CONFIG, tensors);
    const checkpoint = await openCheckpoint(folder);
    const place = `${path.join(folder, "model.safetensors")}: tensor "${q}": expected finite values, found`;
    const read = await userError(checkpoint.readMatrix("blocks.0.attn.q"));
    expect([read.code, read.message]).toEqual(["NON_FINITE_WEIGHTS", `${place} 3 NaN or infinite of 64`]);
    expect((await userError(checkpoint.readRows("blocks.0.attn.q", 4, 5))).message).toBe(
      `${place} 1 NaN or infinite of 8`,
    );
    expect(await checkpoint.readRows("blocks.0.attn.q", 5, 8)).toHaveLength(24);
    expect((await userError(checkWeights(checkpoint))).message).toBe(`${place} 3 NaN or infinite of 64`);
    const unchecked = await openCheckpoint(folder, { checkFinite: false });
    expect((await unchecked.readMatrix("blocks.0.attn.q")).data[30]).toBeNaN();
    await unchecked.close();
    await checkpoint.close();
  });

  test("are cut short after they were opened", async () => {
    const folder = await makeCheckpoint(root);
    const file = path.join(folder, "model.safetensors");
    const checkpoint = await openCheckpoint(folder);
    writeFileSync(file, readFileSync(file).subarray(0, -40));
    expect((await userError(checkpoint.readMatrix("head"))).code).toBe("FILE_TRUNCATED");
    await checkpoint.close();
  });

  test("are checked only until the signal is aborted", async () => {
    const checkpoint = await openCheckpoint(await makeCheckpoint(root));
    await expect(checkWeights(checkpoint, { signal: AbortSignal.abort() })).rejects.toThrow(Interrupted);
    await checkpoint.close();
  });
});
