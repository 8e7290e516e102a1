#!/usr/bin/env node
import { fileError } from "../formats/files.ts";
import { EXIT } from "./failure.ts";
import { keepHeapSmall, letHeapGrow } from "./process-memory.ts";

/**
 * `layerwise run … | head -1`: whoever reads has gone, and nothing more is wanted. A full disk is the user's to mend.
 */
function leaveWithoutOutput(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`layerwise: ${fileError(error, "standard output", "write").message}\n`);
  process.exit(EXIT.userError);
}

process.stdout.on("error", leaveWithoutOutput);
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  // Messages that cannot be written are lost; the result need not be.
  if (error.code === "EPIPE") process.exit(0);
});
keepHeapSmall();
// Imported only now: what the imports take counts.
const { commandNamed } = await import("./commands.ts");
if (!(await commandNamed(process.argv[2]))?.onDevice) letHeapGrow();
const { runCommandLine } = await import("./cli.ts");
const exitCode = await runCommandLine(process.argv.slice(2));
// The wasm backend's worker threads keep the event loop alive: leave once all output is written.
process.stdout.write("", () => process.exit(exitCode));
