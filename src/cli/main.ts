#!/usr/bin/env node
import { keepHeapSmall, letHeapGrow } from "./process-memory.ts";
import { guardStandardStreams, leaveOnceWritten } from "./standard-output.ts";

guardStandardStreams();
keepHeapSmall();
// Imported only now: what the imports take counts.
const { commandNamed } = await import("./commands.ts");
if (!(await commandNamed(process.argv[2]))?.onDevice) letHeapGrow();
const { runCommandLine } = await import("./cli.ts");
const exitCode = await runCommandLine(process.argv.slice(2), { ownsProcess: true });
leaveOnceWritten(exitCode);
