import path from "node:path";
import { shortBytes } from "../../size-text.ts";
import { defineCommand } from "../command.ts";

/** `layerwise export-gguf`: the same numbers for llama.cpp. */
export const exportGgufCommand = defineCommand({
  command: "export-gguf <model> <file>",
  describe: "Write a model of the Llama plan as a GGUF file with the same numbers, for llama.cpp",
  examples: [
    ["export-gguf outputs/smollm2/artifact smollm2.gguf", "codecs of groups of 32 become Q4_0, Q4_1, Q5_0, Q5_1, Q8_0"],
  ],
  options: (yargs) =>
    yargs
      .positional("model", { type: "string", demandOption: true, describe: "Artifact, run folder or checkpoint" })
      .positional("file", { type: "string", demandOption: true, describe: "File to write" })
      .option("tokenizer", {
        type: "boolean",
        default: true,
        describe: "Write the tokenizer too; --no-tokenizer for models without one",
      }),
  async run({ model, file, tokenizer }, terminal) {
    const { openWeights } = await import("../../decoding/open-weights.ts");
    const { loadTokenizer } = await import("../../model/tokenizer.ts");
    const { readTokenizerFiles } = await import("../../model/tokenizer-files.ts");
    const { exportGguf } = await import("../../model/gguf/export-gguf.ts");
    const { folder, source, listed } = await openWeights(model);
    try {
      const { onProgress, signal } = terminal;
      const { spec } = source;
      // The one empties the tables that it has read; the file holds those.
      const read = async () => ({
        files: await readTokenizerFiles(folder, { listed }),
        tokenizer: await loadTokenizer(folder, { spec, listed }),
      });
      const exportedTokenizer = tokenizer ? await read() : null;
      for (const remark of exportedTokenizer?.tokenizer.remarks ?? []) terminal.note(`layerwise: ${remark}`);
      const exported = await exportGguf(source, {
        file,
        name: path.basename(path.resolve(model)),
        tokenizer: exportedTokenizer,
        onProgress,
        signal,
      });
      terminal.document(exported);
      const types = Object.entries(exported.types).map(([type, count]) => `${count} ${type}`);
      terminal.print(`${file}: ${shortBytes(exported.bytes)}, tensors: ${types.join(", ")}`);
    } finally {
      await source.close();
    }
  },
});
