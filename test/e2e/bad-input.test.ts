import { execFileSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { commandLine, type Outcome } from "../cli/command-line.ts";
import { copyExample, EXAMPLE, withFolder } from "./command.ts";

/** A way to spoil the input: changes the checkpoint or returns other arguments. */
interface Spoiled {
  readonly name: string;
  readonly spoil: (checkpoint: string, folder: string) => { args?: string[]; out?: string } | undefined;
  readonly says: RegExp;
}

const weights = (checkpoint: string) => path.join(checkpoint, "model.safetensors");

/** Changes config.json. */
function edit(checkpoint: string, changes: Record<string, unknown>): undefined {
  const file = path.join(checkpoint, "config.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...changes }));
}

/** Overwrites bytes at an offset from the end of the weights file. */
function overwriteTail(file: string, bytes: Uint8Array): undefined {
  const handle = openSync(file, "r+");
  writeSync(handle, bytes, 0, bytes.length, readFileSync(file).length - bytes.length);
  closeSync(handle);
}

/** An index over two shards, the second of which is not there. */
function indexWithMissingShard(checkpoint: string): undefined {
  const bytes = readFileSync(weights(checkpoint));
  const headerEnd = 8 + Number(bytes.readBigUInt64LE(0));
  const header = bytes.subarray(8, headerEnd).toString("utf8");
  const names = Object.keys(JSON.parse(header)).filter((name) => name !== "__metadata__");
  const first = path.join(checkpoint, "model-00001-of-00002.safetensors");
  renameSync(weights(checkpoint), first);
  // What the second shard would hold has another name, of the same length, in the first.
  const without = Buffer.from(header.replace('"model.norm.weight"', '"other.norm.weight"'));
  writeFileSync(first, Buffer.concat([bytes.subarray(0, 8), without, bytes.subarray(headerEnd)]));
  const weight_map = Object.fromEntries(
    names.map((name) => [name, `model-0000${name === "model.norm.weight" ? 2 : 1}-of-00002.safetensors`]),
  );
  writeFileSync(path.join(checkpoint, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
}

const NAN = new Uint8Array([0, 0, 0xc0, 0x7f]);
const INFINITY = new Uint8Array([0, 0, 0x80, 0x7f]);

const CASES: readonly Spoiled[] = [
  {
    name: "truncated weights",
    spoil: (checkpoint) => void truncateSync(weights(checkpoint), 500_000),
    says: /model\.safetensors/,
  },
  {
    name: "a lying header length",
    spoil: (checkpoint) => {
      const handle = openSync(weights(checkpoint), "r+");
      writeSync(handle, new Uint8Array([0xff, 0xff, 0xff, 0x00]), 0, 4, 0);
      closeSync(handle);
      return undefined;
    },
    says: /model\.safetensors.*header/,
  },
  { name: "a missing shard", spoil: indexWithMissingShard, says: /model-00002-of-00002\.safetensors/ },
  {
    name: "NaN weights",
    spoil: (checkpoint) => overwriteTail(weights(checkpoint), NAN),
    says: /model\.safetensors: [^:]+: .*(NaN|finite|infinite).*\b1\b/,
  },
  {
    name: "infinite weights",
    spoil: (checkpoint) => overwriteTail(weights(checkpoint), INFINITY),
    says: /model\.safetensors: [^:]+: .*(NaN|finite|infinite).*\b1\b/,
  },
  {
    name: "a config that disagrees with the shapes",
    spoil: (checkpoint) => edit(checkpoint, { intermediate_size: 176 }),
    says: /mlp.*176.*172/,
  },
  {
    name: "a checkpoint that is quantized already",
    spoil: (checkpoint) => edit(checkpoint, { quantization_config: { quant_method: "gptq", bits: 4 } }),
    says: /quantiz/i,
  },
  {
    name: "adapter files",
    spoil: (checkpoint) => {
      rmSync(weights(checkpoint));
      rmSync(path.join(checkpoint, "config.json"));
      writeFileSync(path.join(checkpoint, "adapter_config.json"), "{}");
      writeFileSync(path.join(checkpoint, "adapter_model.safetensors"), "");
      return undefined;
    },
    says: /adapter/,
  },
  { name: "experts", spoil: (checkpoint) => edit(checkpoint, { num_local_experts: 8 }), says: /expert/ },
  {
    name: "pickle weights",
    spoil: (checkpoint) => void renameSync(weights(checkpoint), path.join(checkpoint, "pytorch_model.bin")),
    says: /pytorch_model\.bin/,
  },
  { name: "an unknown architecture", spoil: (checkpoint) => edit(checkpoint, { model_type: "mamba" }), says: /mamba/ },
  {
    name: "a tokenizer with a token of its model beyond the embedding",
    spoil: (checkpoint) => {
      const file = path.join(checkpoint, "tokenizer.json");
      const tokenizer = JSON.parse(readFileSync(file, "utf8"));
      tokenizer.model.vocab["▁extra"] = 600;
      writeFileSync(file, JSON.stringify(tokenizer));
      return undefined;
    },
    says: /512.*600/,
  },
  {
    name: "empty calibration text",
    spoil: (_, folder) => {
      const file = path.join(folder, "empty.txt");
      writeFileSync(file, "");
      return { args: ["--calibration", file] };
    },
    says: /empty\.txt/,
  },
  { name: "a budget with other units", spoil: () => ({ args: ["--budget", "600 MB/s"] }), says: /600 MB\/s/ },
  { name: "a budget that nothing fits", spoil: () => ({ args: ["--budget", "40 KiB"] }), says: /smallest/ },
  {
    name: "a context beyond the model",
    spoil: () => ({ args: ["--context", "4096"] }),
    says: /4,?096.*512|512.*4,?096/,
  },
  {
    name: "a folder that cannot be written",
    spoil: () => ({ out: "/proc/self/layerwise" }),
    says: /\/proc\/self\/layerwise/,
  },
];

/** Calls `use` with a disk of so many bytes. */
function onSmallDisk(sizeBytes: number, use: (disk: string) => Promise<void>): Promise<void> {
  return withFolder(async (folder) => {
    const disk = path.join(folder, "disk");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeBytes}`, "tmpfs", disk]);
    try {
      await use(disk);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
}

/** Only root may mount, and not in every sandbox. */
const canMount = await onSmallDisk(2 ** 16, async () => undefined).then(
  () => true,
  () => false,
);

/** Runs compress on the checkpoint, with sensible arguments where none are given. */
function compress(checkpoint: string, out: string, given: readonly string[]) {
  const defaults = { "--budget": "4 MiB", "--context": "128" };
  const missing = Object.entries(defaults).filter(([option]) => !given.includes(option));
  const fixed = ["compress", checkpoint, "--out", out, "--recipe", "smoke", "--backend", "wasm"];
  return commandLine([...fixed, ...given, ...missing.flat()]);
}

/** One line that matches, exit 1, nothing on standard output, no artifact, and every step's file whole. */
function expectRefusal(result: Outcome, out: string, says: RegExp): void {
  const lines = result.stderr.split("\n").filter((line) => line !== "" && !/^layerwise: \w+: done in /.test(line));
  expect(lines, result.stderr).toHaveLength(1);
  expect(lines[0]).toMatch(/^layerwise: /);
  expect(lines[0]).toMatch(says);
  expect(result.code).toBe(1);
  expect(result.stdout).toBe("");
  expect(existsSync(path.join(out, "artifact"))).toBe(false);
  const left = existsSync(out) ? readdirSync(out) : [];
  for (const file of left.filter((name) => name.endsWith(".json")))
    JSON.parse(readFileSync(path.join(out, file), "utf8"));
}

describe("bad input of compress", () => {
  it.each(CASES)("$name: one line, exit 1, nothing half-written", ({ spoil, says }) =>
    withFolder(async (folder) => {
      const checkpoint = copyExample(folder);
      const { args = [], out = path.join(folder, "out") } = spoil(checkpoint, folder) ?? {};
      expectRefusal(await compress(checkpoint, out, args), out, says);
    }),
  );

  it.skipIf(!canMount)(
    `a full disk: one line, exit 1, nothing half-written${canMount ? "" : " (skipped: this user may not mount one)"}`,
    () =>
      onSmallDisk(150_000, async (disk) => {
        const out = path.join(disk, "out");
        expectRefusal(await compress(EXAMPLE, out, []), out, /cannot write: the disk is full/);
        expect(readdirSync(out).filter((name) => name.endsWith(".partial"))).toEqual([]);
      }),
  );
});
