// Does llama.cpp read the ids from an exported file that layerwise reads? node test/peers/token-ids.mjs BIN [MODEL …]
// BIN: folder of llama-tokenize. Byte-level tokenizers of every kind that is written, on the bundled example's weights,
// and the models that are named.
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { byteLetters } from "../../dist/model/byte-letters.js";
import { openCheckpoint } from "../../dist/model/checkpoint.js";
import { exportGguf } from "../../dist/model/gguf/export-gguf.js";
import { loadTokenizer } from "../../dist/model/tokenizer.js";
import { readTokenizerFiles } from "../../dist/model/tokenizer-files.js";

const TEXTS = [
  "Hi You",
  " two  spaces\n\n\tand lines\r\n",
  "it's WE'LL don't 12345 ½ x² 3.14",
  "naïve café — “quoted” 日本語 и русский 🙂",
  "<|stop|>a<|mark|> b <|begin|>",
  "a_b--c...!!",
];
const LLAMA3_PATTERN =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const level = (use_regex) => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex });
const sequence = (...pretokenizers) => ({ type: "Sequence", pretokenizers });
const split = { type: "Split", pattern: { Regex: LLAMA3_PATTERN }, behavior: "Isolated", invert: false };
const KINDS = {
  "gpt-2": { pre: level(true), ignoreMerges: false },
  smollm: { pre: sequence({ type: "Digits", individual_digits: true }, level(true)), ignoreMerges: false },
  "llama-bpe": { pre: sequence(split, level(false)), ignoreMerges: true },
  "smaug-bpe": { pre: sequence(split, level(false)), ignoreMerges: false },
};
const MERGES = ["Ġ Ġ", "l l", "1 2", "12 3", "Ġ a", "o u", "Ċ Ċ", "- -", "Ã ©", ". ."].map((merge) => merge.split(" "));
const SPECIALS = ["<|begin|>", "<|stop|>", "<|eot|>"];

/** A byte-level tokenizer with a few merges, and a token that only `ignore_merges` reaches (You). */
function tokenizerJson({ pre, ignoreMerges }, begins) {
  const texts = [...byteLetters(), ...MERGES.map((pair) => pair.join("")), "ĠYou", "You"];
  const added = [...SPECIALS, "<|mark|>"].map((content, i) => ({
    ...{ id: texts.length + i, content, special: content !== "<|mark|>" },
    ...{ normalized: false, lstrip: false, rstrip: false, single_word: false },
  }));
  const template = {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "b", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    special_tokens: { b: { id: "b", ids: [texts.length], tokens: [SPECIALS[0]] } },
  };
  return {
    ...{ version: "1.0", truncation: null, padding: null, normalizer: null, added_tokens: added, pre_tokenizer: pre },
    ...{ post_processor: begins ? template : null, decoder: level(true) },
    model: {
      ...{ type: "BPE", unk_token: null, fuse_unk: false, byte_fallback: false, ignore_merges: ignoreMerges },
      ...{ vocab: Object.fromEntries(texts.map((text, id) => [text, id])), merges: MERGES },
    },
  };
}

/** Texts whose ids differ, with both. */
async function differences(folder, bin, work) {
  const source = await openCheckpoint(folder);
  const tokenizer = await loadTokenizer(folder, { spec: source.spec });
  const file = path.join(work, "model.gguf");
  const files = await readTokenizerFiles(folder);
  await exportGguf(source, { file, name: "model", tokenizer: { files, tokenizer } });
  await source.close();
  return TEXTS.flatMap((text) => {
    const ours = JSON.stringify([...tokenizer.encode(text)]);
    const input = path.join(work, "text");
    writeFileSync(input, text);
    const args = ["-m", file, "-f", input, "--ids", "--log-disable"];
    const said = execFileSync(path.join(bin, "llama-tokenize"), args, { stdio: ["ignore", "pipe", "ignore"] });
    const theirs = JSON.stringify(JSON.parse(String(said).trim()));
    return ours === theirs ? [] : [{ text, ours, theirs }];
  });
}

const [bin, ...models] = process.argv.slice(2);
const work = mkdtempSync(path.join(os.tmpdir(), "layerwise-token-ids-"));
try {
  const subjects = models.map((folder) => [folder, folder]);
  for (const [name, kind] of Object.entries(KINDS)) {
    for (const begins of [false, true]) {
      const folder = path.join(work, `${name}${begins ? " with BOS" : ""}`);
      cpSync("examples/stories260k", folder, { recursive: true });
      writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify(tokenizerJson(kind, begins)));
      const config = { bos_token: SPECIALS[0], eos_token: SPECIALS[1], add_eos_token: true };
      writeFileSync(path.join(folder, "tokenizer_config.json"), JSON.stringify(config));
      subjects.push([path.basename(folder), folder]);
    }
  }
  for (const [name, folder] of subjects) {
    const found = await differences(folder, bin, work);
    console.log(`${name}: ${TEXTS.length - found.length} of ${TEXTS.length} texts with the same ids`);
    for (const { text, ours, theirs } of found) console.log(`  ${JSON.stringify(text)}\n    ${ours}\n    ${theirs}`);
    if (found.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(work, { recursive: true });
}
