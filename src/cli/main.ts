#!/usr/bin/env node
import { runCommandLine } from "./cli.ts";

const exitCode = await runCommandLine(process.argv.slice(2));
// The wasm backend's worker threads keep the event loop alive: leave once all output is written.
process.stdout.write("", () => process.exit(exitCode));
