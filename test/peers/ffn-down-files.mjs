// The files of llama.cpp that ffn_down is compared with: made by its own tools where they are missing, by the protocol of ../shared/baselines.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { loadTokenizer } from "../../dist/model/tokenizer.js";
import { layerwise, shared } from "../../scripts/results/common.mjs";

/** ffn_down in these types; llama-quantize's names are lower-case here. */
export const FFN_DOWN_TYPES = ["Q3_K", "IQ4_XS", "Q4_K", "Q5_K"];
const CALIBRATION_TOKENS = 50_000;

/**
 * `{ files: { Q3_K: path, … }, imatrix }` in `folder`. `chunks`: of calibration text (195 in the protocol: all of it); `bin`: the folder
 * of llama.cpp's programs.
 */
export async function makeFiles({ checkpoint, folder, bin, chunks = 195, threads = 2 }) {
  mkdirSync(folder, { recursive: true });
  const at = (name) => path.join(folder, name);
  const make = async (file, work) => {
    if (!existsSync(file)) await work();
    return file;
  };
  // Spinning threads are several times slower on a machine that is shared.
  const env = { ...process.env, OMP_WAIT_POLICY: "passive", GOMP_SPINCOUNT: "0" };
  const tool = (name, ...args) =>
    execFileSync(path.join(bin, name), args, { env, stdio: ["ignore", "ignore", "ignore"] });

  const whole = await make(at("F32.gguf"), () => layerwise("export-gguf", checkpoint, at("F32.gguf")));
  const text = await make(at("calibration.txt"), () => writeCalibration(checkpoint, at("calibration.txt")));
  const imatrix = await make(at(`imatrix-${chunks}.gguf`), () =>
    tool(
      ...["llama-imatrix", "-m", whole, "-f", text, "-o", at(`imatrix-${chunks}.gguf`), "-c", "512", "-b", "512"],
      ...["--chunks", String(chunks), "--no-ppl", "-t", String(threads)],
    ),
  );
  const files = {};
  for (const type of FFN_DOWN_TYPES) {
    const file = at(`ffn-down-${type}-${chunks}.gguf`);
    files[type] = await make(file, () =>
      tool(
        ...["llama-quantize", "--imatrix", imatrix, "--tensor-type", `ffn_down=${type.toLowerCase()}`],
        ...[whole, file, "Q4_0", String(threads)],
      ),
    );
  }
  return { files, imatrix };
}

/** The first 50,000 tokens of each text, a blank line between them. */
async function writeCalibration(checkpoint, file) {
  const tokenizer = await loadTokenizer(checkpoint);
  const texts = ["c4", "wiki"].map((name) => {
    // Some characters a token, and the rest is not needed: a million of them are more than enough.
    const text = readFileSync(shared(`corpora/calibration/${name}.utf8`), "utf8").slice(0, 1_000_000);
    const ids = tokenizer.encode(text, { specialTokens: false });
    return tokenizer.decode(ids.subarray(0, CALIBRATION_TOKENS));
  });
  writeFileSync(file, texts.join("\n\n"));
}
