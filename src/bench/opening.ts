import { openArtifact } from "../artifact/reader.ts";
import { mostLikely } from "../decoding/sampler.ts";
import { Session } from "../decoding/session.ts";
import type { WorkOptions } from "../progress.ts";
import { createExecutor, type ExecutorOptions } from "../runtime/create-executor.ts";
import { randomIds } from "./sequence.ts";
import { type Spread, spreadOf } from "./spread.ts";

/** Tokens of the prompt whose first answer is waited for. */
const OPENING_PROMPT_TOKENS = 16;

/**
 * Milliseconds from `openArtifact` in a running process to the first token of a 16-token prompt, `repeats` times,
 * everything closed between. The tokenizer is not part of it.
 */
export async function measureOpening(
  folder: string,
  executorOptions: ExecutorOptions,
  { repeats, signal }: WorkOptions & { readonly repeats: number },
): Promise<Spread> {
  const times: number[] = [];
  for (let i = 0; i < repeats; i++) {
    const started = performance.now();
    const artifact = await openArtifact(folder);
    const executor = await createExecutor(artifact, executorOptions);
    const { contextTokens, kvType } = artifact.memory;
    const session = new Session(executor, { contextTokens, kvType });
    mostLikely(await session.feed(randomIds(executor.spec, OPENING_PROMPT_TOKENS, `opening ${i}`), { signal }));
    times.push(performance.now() - started);
    session.close();
    await executor.dispose();
    await artifact.close();
  }
  return spreadOf(times);
}
