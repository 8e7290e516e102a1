import type { Command } from "./command.ts";
import { benchCommand } from "./commands/bench.ts";
import { chatCommand } from "./commands/chat.ts";
import { compressCommand } from "./commands/compress.ts";
import { evalCommand } from "./commands/eval.ts";
import { exitsCommand } from "./commands/exits.ts";
import { exportGgufCommand } from "./commands/export-gguf.ts";
import { inspectCommand } from "./commands/inspect.ts";
import { planCommand } from "./commands/plan.ts";
import { runCommand } from "./commands/run.ts";
import { calibrateCommand, quantizeCommand, scoreCommand } from "./commands/steps.ts";
import { verifyCommand } from "./commands/verify.ts";

/** Every command, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  compressCommand,
  calibrateCommand,
  scoreCommand,
  planCommand,
  quantizeCommand,
  exitsCommand,
  runCommand,
  chatCommand,
  evalCommand,
  benchCommand,
  exportGgufCommand,
  inspectCommand,
  verifyCommand,
];
