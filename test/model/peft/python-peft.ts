import { execFileSync, spawnSync } from "node:child_process";
import path from "node:path";
import { z } from "zod";

/** Python with the packages peft, torch and transformers, where there is one. */
const PYTHON = process.env.LAYERWISE_PYTHON ?? "python3";
const PROBE = "import importlib.util as u, sys; sys.exit(not all(map(u.find_spec, ['peft', 'torch', 'transformers'])))";

export const HAS_PEFT = spawnSync(PYTHON, ["-c", PROBE]).status === 0;

/** Name of a suite that needs them: where it is skipped the one line that says why. */
export function needsPeft(name: string): string {
  return HAS_PEFT ? name : `${name} (skipped: ${PYTHON} has no packages peft, torch and transformers)`;
}

const Views = z.array(z.object({ logits: z.array(z.number()), names: z.array(z.string()) }));

/** What the peft package is to do with an adapter: read it, or write one of its own there. */
export interface PeftJob {
  readonly how: "read" | "write";
  readonly checkpoint: string;
  readonly adapter: string;
  readonly ids: readonly number[];
}

/** What it makes of adapters, in one process (with_peft.py). */
export function withPeft(jobs: readonly PeftJob[]): z.infer<typeof Views> {
  const output = execFileSync(PYTHON, [path.resolve("test/model/peft/with_peft.py")], {
    encoding: "utf8",
    input: JSON.stringify(jobs),
    maxBuffer: 2 ** 28,
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1" },
  });
  return Views.parse(JSON.parse(output));
}
