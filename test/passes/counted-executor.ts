import type { AnyExecutor } from "../../src/runtime/executor.ts";

/** An executor that notes its hidden states, and fails where it is told to. */
export interface Counted {
  readonly executor: AnyExecutor;
  /** Hidden states given out and not released. */
  live(): number;
}

/** Watches an executor; `failAt` names a call (`runBlocks 3`: the third) that fails before it does anything. */
export function counted(inner: AnyExecutor, failAt?: string): Counted {
  const live = new Set<unknown>();
  const calls = new Map<string, number>();
  const call = (name: string) => {
    const number = (calls.get(name) ?? 0) + 1;
    calls.set(name, number);
    if (`${name} ${number}` === failAt) throw new Error(`failed: ${failAt}`);
  };
  const note = (hidden: unknown) => {
    live.add(hidden);
    return hidden;
  };
  const executor: AnyExecutor = {
    spec: inner.spec,
    info: inner.info,
    maths: inner.maths,
    createCache: (options) => inner.createCache(options),
    embed: async (ids) => {
      call("embed");
      return note(await inner.embed(ids));
    },
    runBlocks: async (...args) => {
      call("runBlocks");
      return note(await inner.runBlocks(...args));
    },
    logits: (...args) => inner.logits(...args),
    answers: (...args) => inner.answers(...args),
    loadAdapter: (...args) => inner.loadAdapter(...args),
    loadHead: (...args) => inner.loadHead(...args),
    read: async (hidden) => {
      call("read");
      return inner.read(hidden);
    },
    write: (...args) => {
      call("write");
      return note(inner.write(...args));
    },
    slice: (...args) => note(inner.slice(...args)),
    stack: (parts) => note(inner.stack(parts)),
    release: (hidden) => {
      if (!live.delete(hidden)) throw new Error("released twice, or never given out");
      inner.release(hidden);
    },
    dispose: () => inner.dispose(),
  };
  return { executor, live: () => live.size };
}
