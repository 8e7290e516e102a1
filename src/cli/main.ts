#!/usr/bin/env node
import { runCommandLine } from "./cli.ts";

/** `layerwise run … | head -1`: whoever reads has gone, and nothing more is wanted. */
function leaveQuietlyWithoutReader(error: NodeJS.ErrnoException): void {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
}

process.stdout.on("error", leaveQuietlyWithoutReader);
process.stderr.on("error", leaveQuietlyWithoutReader);
const exitCode = await runCommandLine(process.argv.slice(2));
// The wasm backend's worker threads keep the event loop alive: leave once all output is written.
process.stdout.write("", () => process.exit(exitCode));
