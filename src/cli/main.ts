#!/usr/bin/env node
import { keepHeapSmall, letHeapGrow } from "./process-memory.ts";
import { guardStandardStreams, leaveOnceWritten } from "./standard-output.ts";

guardStandardStreams();
keepHeapSmall();
// Imported only now: what the imports take counts.
const { commandNamed, commandWord } = await import("./commands.ts");
const args = process.argv.slice(2);
if (!(await commandNamed(commandWord(args)))?.onDevice) letHeapGrow();
const { runCommandLine } = await import("./cli.ts");
const exitCode = await runCommandLine(args, { ownsProcess: true });
leaveOnceWritten(exitCode);
