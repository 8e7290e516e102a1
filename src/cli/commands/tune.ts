import { defineCommand } from "../command.ts";
import { executorOptions } from "../options/execution-options.ts";
import { tuneOptions, tuneSettingsOf } from "../options/tune-options.ts";
import { collectGarbage } from "../process-memory.ts";
import { tuningText } from "../text/tuning-text.ts";

/** `layerwise tune`: low-rank adapters, learned a window of blocks at a time. */
export const tuneCommand = defineCommand({
  command: "tune <model>",
  describe: "Tune a checkpoint or an artifact to your text: low-rank adapters, a window of blocks at a time",
  examples: [
    ["tune outputs/smollm2/artifact --data domain.jsonl --window 4 --out outputs/tuned", "adapter/ in outputs/tuned"],
    ["tune models/smollm2 --data book.txt --window 4 --steps 400 --out outputs/book", "a checkpoint, on running text"],
    ["tune models/smollm2 --data book.txt --window all --out outputs/full", "all blocks at once: LoRA as it is known"],
    ["tune outputs/smollm2 --data chats.jsonl --order round-robin --turn 4 --out outputs/chats", "windows in turns"],
  ],
  resumable: true,
  repeatable: ["data"],
  options: (yargs) =>
    executorOptions(
      tuneOptions(
        yargs.positional("model", {
          type: "string",
          demandOption: true,
          describe: "Artifact, run folder or checkpoint",
        }),
      ),
    ),
  async run(args, terminal) {
    const { tune } = await import("../../pipeline/tune.ts");
    const { executor, isa, backend, threads } = args;
    const { signal, onProgress } = terminal;
    let baseBytes = 0;
    const onRead = () => {
      collectGarbage();
      baseBytes = process.memoryUsage.rss();
    };
    const report = await tune(args.model, {
      ...{ data: args.data, heldOutFile: args.heldOutFile ?? null, settings: tuneSettingsOf(args) },
      ...{ out: args.out, merge: args.merge ?? null, onRead },
      ...{ execution: { executor, isa, backend, threads }, signal, onProgress },
    });
    terminal.print(tuningText(report, terminal.colours));
    // What of the process is not tuning's own, weights aside: modules, tokenizer and text.
    const memory = { baseBytes, peakBytes: 1024 * process.resourceUsage().maxRSS };
    terminal.document({ ...report, memory });
  },
});
