import { UserError } from "../../errors.ts";
import type { ExecutorKind } from "../../runtime/executors.ts";
import { defineCommand } from "../command.ts";
import { scheduleText } from "../text/schedule-text.ts";

/** `layerwise schedule`: measures an artifact's parts on this machine, and writes how it runs best into its folder. */
export const scheduleCommand = defineCommand({
  command: "schedule <artifact>",
  describe: "How an artifact runs fastest on this machine within a memory limit; run, chat and bench then do so",
  examples: [
    ["schedule outputs/smollm2/artifact", "the fastest settings, and what less memory would cost"],
    ["schedule outputs/smollm2/artifact --memory-limit '150 MiB'", "weights are streamed as far as they must be"],
    ["schedule outputs/smollm2/artifact --device phone-4gb", "within what a device profile leaves"],
  ],
  options: (yargs) =>
    yargs
      .positional("artifact", { type: "string", demandOption: true, describe: "Artifact or run folder" })
      .option("memory-limit", {
        type: "string",
        describe: "Size that the whole process may take, or auto (what is free here, less a reserve); default: any",
      })
      .option("device", {
        type: "string",
        describe: "Device profile, whose memory is the limit; speeds are this machine's",
      })
      .option("prompt-tokens", { type: "number", default: 256, describe: "Tokens of a turn's prompt" })
      .option("generate-tokens", { type: "number", default: 64, describe: "Tokens that a turn generates" })
      .option("other-text", {
        type: "boolean",
        default: false,
        describe:
          "Also settings whose text is another: other types of keys and values, early exits that are not verified",
      })
      .option("threads", { type: "number", describe: "Most threads to try; default: the physical cores" })
      .option("repeats", { type: "number", default: 5, describe: "Measurements of each part" })
      .option("dry-run", { type: "boolean", default: false, describe: "Write nothing" })
      .conflicts("device", "memory-limit"),
  async run(args, terminal) {
    const { findModel } = await import("../../decoding/find-model.ts");
    const { openArtifact } = await import("../../artifact/reader.ts");
    const { writeSchedule } = await import("../../artifact/schedule.ts");
    const { makeSchedule } = await import("../../bench/schedule/make-schedule.ts");
    const { describeExecutor } = await import("../../runtime/describe-executor.ts");
    const { EXECUTORS } = await import("../../runtime/executors.ts");
    const { kind, folder } = await findModel(args.artifact);
    if (kind !== "artifact") {
      const message = `${folder}: schedule: expected an artifact, found a checkpoint`;
      throw new UserError("ARTIFACT_EXPECTED", message, "compress it first");
    }
    const { executor, threads } = await describeExecutor({ threads: args.threads });
    if (!EXECUTORS[executor].traits.streams) {
      const message = `schedule: expected an executor that streams, found ${executor}`;
      throw new UserError("EXECUTOR", message, "layerwise inspect says why");
    }
    const artifact = await openArtifact(folder, { mapFile: null });
    try {
      const schedule = await makeSchedule(artifact, {
        executor,
        memoryLimitBytes: await limitOf(args, { executor, vocabSize: artifact.spec.vocabSize }),
        ...{ promptTokens: args.promptTokens, generateTokens: args.generateTokens, otherText: args.otherText },
        ...{ mostThreads: threads ?? 1, repeats: args.repeats },
        ...{ signal: terminal.signal, onProgress: terminal.onProgress },
      });
      if (!args.dryRun) await writeSchedule(folder, schedule);
      terminal.document(schedule);
      terminal.print(scheduleText(schedule, terminal.colours));
      if (!args.dryRun) terminal.note(`layerwise: schedule.json in ${folder}: run, chat and bench go by it`);
    } finally {
      await artifact.close();
    }
  },
});

/** Bytes of the process; null: no limit. A device's budget for the model alone has the runtime's base beside it. */
async function limitOf(
  { device, memoryLimit }: { readonly device: string | undefined; readonly memoryLimit: string | undefined },
  { executor, vocabSize }: { readonly executor: ExecutorKind; readonly vocabSize: number },
): Promise<number | null> {
  const text = device ?? memoryLimit;
  if (text === undefined) return null;
  const { checkDeviceName, readBudget } = await import("../../planning/budget/device-file.ts");
  const { plannedBase } = await import("../../runtime/base-bytes.ts");
  if (device !== undefined) checkDeviceName(device);
  const budget = await readBudget(text);
  if (budget.device?.budgetCovers !== "model") return budget.bytes;
  return budget.bytes + plannedBase({ executor, backend: "auto" }, { vocabSize }).runtimeBaseBytes;
}
