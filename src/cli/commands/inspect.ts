import { stat } from "node:fs/promises";
import { UserError } from "../../errors.ts";
import { fileError } from "../../formats/files.ts";
import { BACKEND_CHOICES } from "../../runtime/backend-names.ts";
import type { BackendInfo } from "../../runtime/tfjs/backend.ts";
import { defineCommand } from "../command.ts";
import type { Inspection } from "../inspection.ts";
import type { Terminal } from "../terminal.ts";

/** `layerwise inspect`: what a checkpoint, an artifact or a safetensors file holds, and what would run it here. */
export const inspectCommand = defineCommand({
  command: "inspect <path>",
  describe: "What a checkpoint, an artifact or a safetensors file holds, and which backend runs it here",
  examples: [
    ["inspect outputs/smollm2/artifact", "plan, memory sum, provenance, backend"],
    ["inspect models/smollm2/model.safetensors --json", "every tensor of one file"],
  ],
  options: (yargs) =>
    yargs
      .positional("path", {
        type: "string",
        demandOption: true,
        describe: "Checkpoint, artifact, run folder or *.safetensors",
      })
      .option("backend", { choices: BACKEND_CHOICES, default: "auto" as const, describe: "Backend to try" })
      .option("context", {
        type: "number",
        describe: "Tokens of a checkpoint's memory sum; default 2048, or its longest",
      }),
  async run(args, terminal) {
    const { path: target, context: contextTokens } = args;
    if (contextTokens !== undefined && (!Number.isInteger(contextTokens) || contextTokens < 1)) {
      throw new UserError("CONTEXT", `context: expected a whole number from 1 up, found ${contextTokens}`);
    }
    const { inspectArtifact, inspectCheckpoint, inspectSafetensors } = await import("../inspection.ts");
    if (!(await isFolder(target))) return printInspection(await inspectSafetensors(target, terminal.colours), terminal);
    const { findModel } = await import("../../decoding/find-model.ts");
    const { openBackend } = await import("../../runtime/tfjs/backend.ts");
    const { kind, folder } = await findModel(target);
    const backend = await openBackend({ backend: args.backend });
    const inspection =
      kind === "artifact"
        ? await inspectArtifact(folder, terminal.colours)
        : await inspectCheckpoint(folder, { contextTokens, backend: backend.backend }, terminal.colours);
    printInspection(inspection, terminal, backend);
  },
});

function printInspection({ document, lines }: Inspection, terminal: Terminal, backend?: BackendInfo): void {
  terminal.document({ ...document, ...(backend ? { executor: { executor: "tfjs", ...backend } } : {}) });
  for (const line of lines) terminal.print(line);
  if (backend) terminal.print(`backend: ${backend.backend} (${backend.reason}), ${backend.version}`);
}

async function isFolder(target: string): Promise<boolean> {
  try {
    return (await stat(target)).isDirectory();
  } catch (error) {
    throw fileError(error, target, "read");
  }
}
