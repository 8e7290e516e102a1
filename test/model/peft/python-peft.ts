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

const View = z.object({ logits: z.array(z.number()), names: z.array(z.string()) });

/** What the peft package makes of an adapter, or of one that it writes itself (with_peft.py). */
export function withPeft(how: "read" | "write", checkpoint: string, adapter: string, ids: readonly number[]) {
  const script = path.resolve("test/model/peft/with_peft.py");
  const output = execFileSync(PYTHON, [script, how, checkpoint, adapter, JSON.stringify(ids)], {
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, HF_HUB_OFFLINE: "1", TRANSFORMERS_OFFLINE: "1" },
  });
  return View.parse(JSON.parse(output));
}
