import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { elementCount, openSafetensors } from "../../src/formats/safetensors/index.ts";
import { type Checkpoint, openCheckpoint } from "../../src/model/checkpoint.ts";
import { matricesOf } from "../../src/model/decoder-spec.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";
import {
  type MadeTensor,
  makeCheckpoint,
  openingError,
  TINY_CONFIG,
  tensorsWith,
  tinyTensors,
  writeTensors,
} from "./checkpoint-fixture.ts";

const root = temporaryFolder();
const TIED = { ...TINY_CONFIG, tie_word_embeddings: true };
const [EMBEDDING, HEAD] = ["model.embed_tokens.weight", "lm_head.weight"];

type Tensors = Map<string, MadeTensor>;

function tensor(name: string): MadeTensor {
  const found = tinyTensors().get(name);
  if (!found) throw new Error(`no tensor ${name}`);
  return found;
}

async function open(config: object, tensors: Tensors): Promise<Checkpoint> {
  return openCheckpoint(await makeCheckpoint(root, config, tensors));
}

async function refusal(work: Promise<Checkpoint>): Promise<string> {
  const { code, message, hint } = await openingError(work);
  return `${code} ${message.replaceAll(root, "")} (${hint})`;
}

describe("tied-but-two-heads: weights beat config.json", () => {
  test("a head of its own is the output head, and inspect says so", async () => {
    await using checkpoint = closing(await open(TIED, tinyTensors()));
    expect(checkpoint.spec.tied).toBe(false);
    expect(matricesOf(checkpoint.spec).at(-1)?.id).toBe("head");
    expect((await checkpoint.readMatrix("head")).data).toEqual(tensor(HEAD).values);
    expect((await checkpoint.readMatrix("embedding")).data).toEqual(tensor(EMBEDDING).values);
    expect(checkpoint.notes).toEqual([
      expect.stringContaining('"lm_head.weight" differs from "model.embed_tokens.weight"'),
    ]);
    expect(checkpoint.unused).toEqual([]);
  });

  test("one number that differs is enough", async () => {
    const values = Float32Array.from(tensor(EMBEDDING).values);
    values[values.length - 1] += 1;
    await using checkpoint = closing(await open(TIED, tensorsWith({ [HEAD]: { ...tensor(HEAD), values } })));
    expect(checkpoint.spec.tied).toBe(false);
  });

  test("equal copies stay tied, without a word", async () => {
    await using checkpoint = closing(await open(TIED, tensorsWith({ [HEAD]: tensor(EMBEDDING) })));
    expect([checkpoint.spec.tied, checkpoint.notes, checkpoint.unused]).toEqual([true, [], []]);
  });

  test("a copy of another type is one where the numbers are", async () => {
    const whole = Float32Array.from(tensor(EMBEDDING).values, (x) => Math.round(x * 8));
    const copies = (values: Float32Array) =>
      tensorsWith({
        [EMBEDDING]: { ...tensor(EMBEDDING), values, dtype: "BF16" },
        [HEAD]: { ...tensor(EMBEDDING), values },
      });
    await using same = closing(await open(TIED, copies(whole)));
    expect(same.spec.tied).toBe(true);
    await using finer = closing(await open(TIED, copies(tensor(EMBEDDING).values)));
    expect(finer.spec.tied).toBe(false);
    expect((await finer.readMatrix("head")).data).toEqual(tensor(EMBEDDING).values);
  });

  test.each([EMBEDDING, HEAD])("only %s stored: both are it", async (kept) => {
    const tensors = tensorsWith({ [kept === HEAD ? EMBEDDING : HEAD]: null });
    await using checkpoint = closing(await open(TIED, tensors));
    expect(checkpoint.spec.tied).toBe(true);
    expect((await checkpoint.readMatrix("embedding")).data).toEqual(tensor(kept).values);
  });

  test("a head in a shard that the index does not list counts too", async () => {
    const folder = await makeCheckpoint(root, TIED, null);
    await writeTensors(path.join(folder, "a.safetensors"), tinyTensors());
    const weightMap = Object.fromEntries(
      [...tensorsWith({ [HEAD]: null }).keys()].map((name) => [name, "a.safetensors"]),
    );
    writeFileSync(path.join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
    await using checkpoint = closing(await openCheckpoint(folder));
    expect(checkpoint.spec.tied).toBe(false);
  });

  test.each(["embed_out.weight", "lm_head.weight"])("NeoX calls it %s", async (head) => {
    const folder = path.join(ARCHITECTURES, "neox-parallel");
    const config: object = JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8"));
    const file = await openSafetensors(path.join(folder, "model.safetensors"));
    const tensors: Tensors = new Map();
    for (const [name, { shape }] of file.tensors) {
      const values = await file.readF32(name, 0, elementCount(shape) ?? 0);
      tensors.set(name === "embed_out.weight" ? head : name, { shape: [...shape], values });
    }
    await file.close();
    await using checkpoint = closing(await open({ ...config, tie_word_embeddings: true }, tensors));
    expect([checkpoint.spec.tied, checkpoint.locate("head").info.name]).toEqual([false, head]);
  });

  test("a head that the config does not fit, or that is no float, is refused by its name", async () => {
    const larger = { shape: [12, 8], values: new Float32Array(96) };
    expect(await refusal(open(TIED, tensorsWith({ [HEAD]: larger })))).toMatch(
      /^SHAPE_MISMATCH .*"lm_head.weight": expected shape \[11, 8\] by config.json, found \[12, 8\]/,
    );
    const integers: MadeTensor = { ...tensor(HEAD), dtype: "I8", bytes: new Uint8Array(88) };
    expect(await refusal(open(TIED, tensorsWith({ [HEAD]: integers })))).toMatch(/^ALREADY_QUANTIZED .*lm_head/);
  });

  test.each(["model.lm_head.weight", "output.weight", "embed_out.weight"])(
    "a head under another name: %s",
    async (name) => {
      const equal = tensorsWith({ [HEAD]: null, [name]: tensor(EMBEDDING) });
      await using same = closing(await open(TIED, equal));
      expect([same.spec.tied, same.unused]).toEqual([true, [name]]);
      const twice = /^STORED_TWICE .*found two with different numbers: /;
      expect(await refusal(open(TIED, tensorsWith({ [HEAD]: null, [name]: tensor(HEAD) })))).toMatch(twice);
      expect(await refusal(open(TINY_CONFIG, tensorsWith({ [name]: tensor(EMBEDDING) })))).toMatch(twice);
      await (await open(TINY_CONFIG, tensorsWith({ [name]: tensor(HEAD) }))).close();
    },
  );

  test("not tied and no head: the line says what could be meant", async () => {
    expect(await refusal(open(TINY_CONFIG, tensorsWith({ [HEAD]: null })))).toMatch(
      /^MISSING_TENSOR .*expected tensor "lm_head.weight" by config.json, found none \(.*tie_word_embeddings true\)$/,
    );
  });
});

describe("other tensors that are stored twice", () => {
  const twice = async (second: MadeTensor): Promise<Checkpoint> => {
    const folder = await makeCheckpoint(root, TINY_CONFIG, null);
    const name = "model.norm.weight";
    await writeTensors(path.join(folder, "a.safetensors"), tinyTensors());
    await writeTensors(path.join(folder, "b.safetensors"), new Map([[name, second]]));
    const weightMap = Object.fromEntries([...tinyTensors().keys()].map((key) => [key, "a.safetensors"]));
    weightMap["model.rotary_emb.inv_freq"] = "b.safetensors";
    writeFileSync(path.join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
    return openCheckpoint(folder);
  };

  test("in two shards: equal ones are one, others are refused", async () => {
    await (await twice(tensor("model.norm.weight"))).close();
    expect(await refusal(twice({ shape: [8], values: new Float32Array(8) }))).toMatch(
      /^STORED_TWICE .*expected one tensor "model.norm.weight", found two with different numbers: .*a.safetensors and .*b/,
    );
  });

  test("with and without the decoder's prefix", async () => {
    const bare = "layers.0.mlp.up_proj.weight";
    const stored = tensor(`model.${bare}`);
    await (await open(TINY_CONFIG, tensorsWith({ [bare]: stored }))).close();
    const other = { ...stored, values: new Float32Array(stored.values.length) };
    expect(await refusal(open(TINY_CONFIG, tensorsWith({ [bare]: other })))).toMatch(/^STORED_TWICE .*"layers.0.mlp/);
  });
});

describe("index-lists-tied-head: an index matters only where the model needs the tensor", () => {
  const indexed = async (config: object, stored: Record<string, Tensors>, listed: Record<string, string>) => {
    const folder = await makeCheckpoint(root, config, null);
    for (const [shard, tensors] of Object.entries(stored)) await writeTensors(path.join(folder, shard), tensors);
    writeFileSync(path.join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map: listed }));
    return openCheckpoint(folder);
  };
  const tied = tensorsWith({ [HEAD]: null });
  const listed = Object.fromEntries([...tied.keys()].map((name) => [name, "a.safetensors"]));

  test.each<[what: string, extra: Record<string, string>]>([
    ["lists a tied head that no shard has", { [HEAD]: "a.safetensors" }],
    ["lists it in a shard that is not there", { [HEAD]: "b.safetensors" }],
    [
      "lists buffers and others that mean nothing",
      { "model.rotary_emb.inv_freq": "a.safetensors", "v_head.x": "c.safetensors" },
    ],
  ])("%s", async (_, extra) => {
    await using checkpoint = closing(await indexed(TIED, { "a.safetensors": tied }, { ...listed, ...extra }));
    expect(checkpoint.spec.tied).toBe(true);
  });

  test("says another shard than the tensor's", async () => {
    const [first, ...others] = [...tied];
    const stored = { "a.safetensors": new Map(others), "b.safetensors": new Map([first]) };
    const stale = { ...listed, "model.rotary_emb.inv_freq": "b.safetensors" };
    await (await indexed(TIED, stored, stale)).close();
  });

  test("is not needed beside numbered shards that are all there", async () => {
    const folder = await makeCheckpoint(root, TIED, null);
    const [first, ...others] = [...tied];
    await writeTensors(path.join(folder, "model-00001-of-00002.safetensors"), new Map([first]));
    await writeTensors(path.join(folder, "model-00002-of-00002.safetensors"), new Map(others));
    await (await openCheckpoint(folder)).close();
  });

  test("a shard that is missing and needed is still named", async () => {
    expect(
      await refusal(indexed(TINY_CONFIG, { "a.safetensors": tied }, { ...listed, [HEAD]: "b.safetensors" })),
    ).toMatch(/^MISSING_SHARD .*expected 2 shards, found 1: no b.safetensors/);
  });
});

describe("bare-decoder-names: names without the decoder's prefix", () => {
  const bare = (tensors: Tensors): Tensors =>
    new Map([...tensors].map(([name, stored]) => [name.replace(/^model\./, ""), stored]));

  test.each(["LlamaForCausalLM", "LlamaModel"])("a tied model of class %s", async (name) => {
    const tensors = bare(tensorsWith({ [HEAD]: null, "model.rotary_emb.inv_freq": tensor("model.norm.weight") }));
    await using checkpoint = closing(await open({ ...TIED, architectures: [name] }, tensors));
    expect((await checkpoint.readMatrix("embedding")).data).toEqual(tensor(EMBEDDING).values);
    expect(checkpoint.unused).toEqual([]);
  });

  test("a head beside them is the head", async () => {
    await using checkpoint = closing(await open(TINY_CONFIG, bare(tinyTensors())));
    expect((await checkpoint.readMatrix("head")).data).toEqual(tensor(HEAD).values);
  });

  test("blocks beyond the last are noticed in these names too", async () => {
    expect(await refusal(open({ ...TINY_CONFIG, num_hidden_layers: 1 }, bare(tinyTensors())))).toMatch(
      /^SHAPE_MISMATCH .*only 1 blocks by config.json, found tensor "layers.1./,
    );
  });

  test("a bare decoder without a head is refused for that", async () => {
    const tensors = bare(tensorsWith({ [HEAD]: null }));
    expect(await refusal(open({ ...TINY_CONFIG, architectures: ["LlamaModel"] }, tensors))).toMatch(
      /^MISSING_TENSOR .*"lm_head.weight"/,
    );
  });

  test.each(["module.", "_orig_mod.", "language_model.", "base_model.model."])(
    "a prefix %s is named",
    async (prefix) => {
      const tensors: Tensors = new Map([...tinyTensors()].map(([name, stored]) => [prefix + name, stored]));
      const line = await refusal(open(TINY_CONFIG, tensors));
      expect(line).toContain(`expected tensor "${EMBEDDING}" by config.json, found "${prefix}${EMBEDDING}"`);
      expect(line).toContain(`prefix "${prefix}"`);
    },
  );
});

/** The checkpoint for `await using`. */
function closing(checkpoint: Checkpoint): Checkpoint & AsyncDisposable {
  return Object.assign(checkpoint, { [Symbol.asyncDispose]: () => checkpoint.close() });
}
