import { defineCommand } from "../command.ts";
import { budgetMissing, mergeRunOptions, runOptions } from "../options/run-options.ts";

/** `layerwise compress`: the whole pipeline, from a checkpoint to an artifact. */
export const compressCommand = defineCommand({
  command: "compress <checkpoint>",
  describe: "Make an artifact that fits a budget out of a checkpoint",
  examples: [
    [
      "compress models/smollm2 --budget '160 MiB' --context 2048 --out outputs/smollm2",
      "the artifact is outputs/smollm2/artifact",
    ],
    [
      "compress models/smollm2 --budget phone-4gb --recipe max-quality --out outputs/phone",
      "for a device, by a recipe",
    ],
    [
      "compress models/smollm2 --device phone-4gb --device board.yaml --recipe max-quality --out outputs/all",
      "an artifact a device out of one library of packed matrices: outputs/all/artifact-board",
    ],
    [
      "compress models/smollm2 --budget auto --calibration notes.txt --out outputs/here",
      "this machine's memory, own text",
    ],
  ],
  resumable: true,
  repeatable: ["calibration", "device"],
  options: (yargs) =>
    runOptions(yargs.positional("checkpoint", { type: "string", demandOption: true, describe: "Hugging Face folder" }))
      .option("device", {
        type: "string",
        array: true,
        conflicts: "budget",
        describe: "Device profile, several times for an artifact each; in place of --budget",
      })
      .option("out", { type: "string", demandOption: true, describe: "Run folder; the same command continues in it" }),
  async run(args, terminal) {
    if (args.budget === undefined && !args.device?.length) {
      throw budgetMissing("--budget or --device FILE, found neither", "--budget auto, or --device phone-4gb");
    }
    const { runForDevices, runPipeline } = await import("../pipeline-run.ts");
    if (!args.device?.length) {
      await runPipeline(args.out, await mergeRunOptions(args.checkpoint, args, null), "scheduled", terminal);
      return;
    }
    const { checkDeviceName } = await import("../../planning/budget/device-file.ts");
    const runs = [];
    for (const device of args.device) {
      checkDeviceName(device);
      runs.push({ device, options: await mergeRunOptions(args.checkpoint, { ...args, budget: device }, null) });
    }
    await runForDevices(args.out, runs, terminal);
  },
});
