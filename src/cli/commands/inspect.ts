import { stat } from "node:fs/promises";
import { UserError } from "../../errors.ts";
import { fileError } from "../../formats/files.ts";
import { defineCommand } from "../command.ts";
import { BACKENDS } from "../execution-options.ts";
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
      .option("backend", { choices: BACKENDS, default: "auto" as const, describe: "Backend to try" })
      .option("context", {
        type: "number",
        describe: "Tokens of a checkpoint's memory sum; default 2048, or its longest",
      }),
  async run(args, terminal) {
    const inspection = await inspect(args.path, args.context, terminal);
    const executor = inspection.runnable ? await tryBackend(args.backend) : null;
    terminal.document({ ...inspection.document, ...(executor ? { executor } : {}) });
    for (const line of inspection.lines) terminal.print(line);
    if (executor) terminal.print(`backend: ${executor.backend} (${executor.reason}), ${executor.version}`);
  },
});

async function inspect(target: string, context: number | undefined, terminal: Terminal): Promise<Inspection> {
  const { inspectArtifact, inspectCheckpoint, inspectSafetensors } = await import("../inspection.ts");
  if (!(await isFolder(target))) return inspectSafetensors(target, terminal.colours);
  const { findModel } = await import("../../decoding/find-model.ts");
  const { kind, folder } = await findModel(target);
  if (kind === "artifact") return inspectArtifact(folder, terminal.colours);
  if (context !== undefined && (!Number.isInteger(context) || context < 1)) {
    throw new UserError("CONTEXT", `context: expected a whole number from 1 up, found ${context}`);
  }
  return inspectCheckpoint(folder, context, terminal.colours);
}

async function isFolder(target: string): Promise<boolean> {
  try {
    return (await stat(target)).isDirectory();
  } catch (error) {
    throw fileError(error, target, "read");
  }
}

async function tryBackend(backend: (typeof BACKENDS)[number]) {
  const { openBackend } = await import("../../runtime/tfjs/backend.ts");
  return { executor: "tfjs", ...(await openBackend({ backend })) };
}
