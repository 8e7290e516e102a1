import { isFolder } from "../../formats/files.ts";
import type { ExecutorReport } from "../../runtime/describe-executor.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { defineCommand } from "../command.ts";
import type { Inspection } from "../inspection.ts";
import { executorOptions } from "../options/execution-options.ts";
import type { Terminal } from "../terminal.ts";

/** `layerwise inspect`: what a checkpoint, an artifact or a safetensors file holds, and what would run it here. */
export const inspectCommand = defineCommand({
  command: "inspect <path>",
  describe: "What a checkpoint, an artifact or a safetensors file holds, and which executor runs it here",
  examples: [
    ["inspect outputs/smollm2/artifact", "plan, memory sum, provenance, executor"],
    ["inspect models/smollm2/model.safetensors --json", "every tensor of one file"],
  ],
  options: (yargs) =>
    executorOptions(
      yargs.positional("path", {
        type: "string",
        demandOption: true,
        describe: "Checkpoint, artifact, run folder or *.safetensors",
      }),
    ).option("context", {
      type: "number",
      describe: "Tokens of a checkpoint's memory sum; default 2048, or its longest",
    }),
  async run(args, terminal) {
    const { path: target, context: contextTokens } = args;
    const { inspectArtifact, inspectCheckpoint, inspectSafetensors } = await import("../inspection.ts");
    if (!(await isFolder(target))) {
      const { hubNameError } = await import("../../formats/hub-name.ts");
      const hubName = await hubNameError(target);
      if (hubName) throw hubName;
      return printInspection(await inspectSafetensors(target, terminal.colours), terminal);
    }
    const { findModel } = await import("../../decoding/find-model.ts");
    const { describeExecutor } = await import("../../runtime/describe-executor.ts");
    const { kind, folder } = await findModel(target);
    const { executor, isa, backend, threads } = args;
    const report = await describeExecutor({ executor, isa, backend, threads });
    const inspection =
      kind === "artifact"
        ? await inspectArtifact(folder, terminal.colours)
        : await inspectCheckpoint(folder, { contextTokens, executor: report }, terminal.colours);
    printInspection(inspection, terminal, report);
  },
});

function printInspection({ document, lines }: Inspection, terminal: Terminal, executor?: ExecutorReport): void {
  terminal.document({ ...document, ...(executor ? { executor } : {}) });
  for (const line of lines) terminal.print(line);
  for (const line of executor ? executorLines(executor) : []) terminal.print(line);
}

function executorLines(report: ExecutorReport): string[] {
  const { reason, threads, version, isas, nativeMissing } = report;
  const tables = isas.map(({ name, unavailable }) =>
    unavailable === null ? name : `${name} (not here: ${unavailable})`,
  );
  return [
    `executor: ${executorName(report)} (${reason}), ${threads} threads, version ${version}`,
    nativeMissing === null
      ? `native instruction sets: ${tables.join(", ")}`
      : `native addon: missing: ${nativeMissing}`,
  ];
}
