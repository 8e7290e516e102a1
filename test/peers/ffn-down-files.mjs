// The files of llama.cpp that ffn_down is compared with: made by its own tools where they are missing, by the protocol
// of test/peers/baselines.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { loadTokenizer } from "../../dist/model/tokenizer.js";
import { layerwise } from "../../scripts/results/common.mjs";
import { dataFile } from "../../scripts/results/data.mjs";

/** ffn_down in these types; llama-quantize's names are lower-case here. */
export const FFN_DOWN_TYPES = ["Q3_K", "IQ4_XS", "Q4_K", "Q5_K"];
const CHUNK_TOKENS = 512;
/** More than the chunks need: a text that is tokenized anew may have other tokens where it was cut. */
const SPARE_TOKENS = 100;

/**
 * `{ files: { Q3_K: path, … }, imatrix, text }` in `folder`; what is there already is taken. `chunks`: of calibration
 * text, 512 tokens each (the protocol's table has 195); `bin`: the folder of llama.cpp's programs.
 */
export async function makeFiles({ checkpoint, folder, bin, chunks, threads = 2 }) {
  mkdirSync(folder, { recursive: true });
  // Under another name until it is whole: llama-imatrix also writes what it has so far.
  const make = async (name, work) => {
    const file = path.join(folder, name);
    if (existsSync(file)) return file;
    const partial = path.join(folder, `partial-${name}`);
    await work(partial);
    renameSync(partial, file);
    return file;
  };
  // Spinning threads are several times slower on a machine that is shared.
  const env = { ...process.env, OMP_WAIT_POLICY: "passive", GOMP_SPINCOUNT: "0" };
  const tool = (name, ...args) =>
    execFileSync(path.join(bin, name), args, { env, stdio: ["ignore", "ignore", "ignore"] });

  const whole = await make("F32.gguf", (file) => layerwise("export-gguf", checkpoint, file));
  const half = await make("BF16.gguf", (file) => tool("llama-quantize", whole, file, "BF16", String(threads)));
  const text = await make(`calibration-${chunks}.txt`, (file) => writeCalibration(checkpoint, file, chunks));
  const imatrix = await make(`imatrix-${chunks}.gguf`, (file) =>
    tool(
      ...["llama-imatrix", "-m", half, "-f", text, "-o", file, "-c", String(CHUNK_TOKENS), "-b", String(CHUNK_TOKENS)],
      ...["--chunks", String(chunks), "--no-ppl", "-t", String(threads)],
    ),
  );
  const files = {};
  for (const type of FFN_DOWN_TYPES) {
    files[type] = await make(`ffn-down-${type}-${chunks}.gguf`, (file) =>
      tool(
        ...["llama-quantize", "--imatrix", imatrix, "--tensor-type", `ffn_down=${type.toLowerCase()}`],
        ...[whole, file, "Q4_0", String(threads)],
      ),
    );
  }
  return { files, imatrix, text };
}

/** The beginning of each text, half of the chunks, and a blank line between them. */
async function writeCalibration(checkpoint, file, chunks) {
  const tokenizer = await loadTokenizer(checkpoint);
  const count = Math.ceil(chunks / 2) * CHUNK_TOKENS + SPARE_TOKENS;
  const texts = ["c4", "wiki"].map((name) => {
    // Some characters a token, and the rest is not needed.
    const text = readFileSync(dataFile(`corpora/calibration/${name}.utf8`), "utf8").slice(0, 16 * count);
    const ids = tokenizer.encode(text, { specialTokens: false });
    return tokenizer.decode(ids.subarray(0, count));
  });
  writeFileSync(file, texts.join("\n\n"));
}
