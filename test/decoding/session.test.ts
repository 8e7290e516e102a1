import { describe, expect, test } from "vitest";
import { checkPromptFits, Session } from "../../src/decoding/session.ts";
import { Interrupted } from "../../src/errors.ts";
import { PROMPT_CHUNK_ROWS } from "../../src/model/workspace.ts";
import { type Script, ScriptedCache, ScriptedExecutor } from "./scripted-executor.ts";

/** Depends on every id and on the regime, so that a lost, repeated or stale position shows. */
const digest: Script["next"] = (ids, regime) =>
  ids.reduce((sum, id) => (sum * 31 + id) % 251, regime === "short" ? 1 : 2);

const idsUpTo = (count: number) => Array.from({ length: count }, (_, i) => (i * 7) % 200);

function openSession(script: Partial<Script> = {}, contextTokens = 2048) {
  const executor = new ScriptedExecutor({ next: digest, ...script });
  return { executor, session: new Session(executor, { contextTokens }) };
}

const chosen = (logits: Float32Array) => logits.indexOf(1);

describe("feed", () => {
  test("computes a long prompt in chunks and gives the logits of the last row", async () => {
    const { executor, session } = openSession();
    const ids = idsUpTo(2 * PROMPT_CHUNK_ROWS + 5);
    expect(chosen(await session.feed(ids))).toBe(digest(ids, "short"));
    expect(executor.chunks).toEqual([PROMPT_CHUNK_ROWS, PROMPT_CHUNK_ROWS, 5]);
    expect(session.ids).toEqual(ids);
    expect(executor.live).toBe(0);
  });

  test("goes on where it stopped", async () => {
    const { executor, session } = openSession();
    await session.feed([1, 2, 3]);
    expect(chosen(await session.feed([4]))).toBe(digest([1, 2, 3, 4], "short"));
    expect(executor.chunks).toEqual([3, 1]);
  });

  test("computes the whole sequence anew where its length changes the rotary regime", async () => {
    const { executor, session } = openSession({ regimeOf: (tokens) => (tokens > 10 ? "long" : "short") });
    await session.feed(idsUpTo(10));
    const logits = await session.feed([99]);
    expect(chosen(logits)).toBe(digest([...idsUpTo(10), 99], "long"));
    expect(executor.chunks).toEqual([10, 11]);
    expect(chosen(await session.feed([5]))).toBe(digest([...idsUpTo(10), 99, 5], "long"));
    expect(executor.chunks).toEqual([10, 11, 1]);
    session.truncate(3);
    expect(chosen(await session.feed([5]))).toBe(digest([...idsUpTo(3), 5], "short"));
  });

  test("refuses what exceeds the context, with both numbers, and changes nothing", async () => {
    const { session } = openSession({}, 2048);
    await session.feed([1, 2]);
    await expect(session.feed(idsUpTo(2998))).rejects.toThrow(
      "prompt of 3,000 tokens: the model's context is 2,048 tokens",
    );
    expect(session.length).toBe(2);
    expect(() => checkPromptFits(3000, 128, 2048)).toThrow(
      "prompt of 3,000 tokens and 128 to generate: the model's context is 2,048 tokens",
    );
    expect(() => checkPromptFits(2048, 128, 2048)).not.toThrow();
  });

  test("an abort between chunks leaves the session as it was", async () => {
    const aborter = new AbortController();
    const { executor, session } = openSession({ onChunk: (count) => count === PROMPT_CHUNK_ROWS && aborter.abort() });
    await session.feed([1, 2, 3]);
    await expect(session.feed(idsUpTo(1000), { signal: aborter.signal })).rejects.toThrow(Interrupted);
    expect(session.ids).toEqual([1, 2, 3]);
    expect(chosen(await session.feed([4]))).toBe(digest([1, 2, 3, 4], "short"));
    expect(executor.live).toBe(0);
  });

  test("a failure in the middle of a rebuild is mended by the next feed", async () => {
    let fail = false;
    const { executor, session } = openSession({
      regimeOf: (tokens) => (tokens > PROMPT_CHUNK_ROWS ? "long" : "short"),
      onChunk: (count) => {
        if (fail && count !== PROMPT_CHUNK_ROWS) throw new Error("broken");
      },
    });
    const ids = idsUpTo(PROMPT_CHUNK_ROWS);
    await session.feed(ids);
    fail = true;
    await expect(session.feed([9])).rejects.toThrow("broken");
    expect(session.ids).toEqual(ids);
    fail = false;
    expect(chosen(await session.feed([9]))).toBe(digest([...ids, 9], "long"));
    expect(executor.live).toBe(0);
  });
});

test("gives the most likely id alone where that is all that is wanted", async () => {
  const { session } = openSession();
  const output = await session.feedFor("best", [1, 2, 3]);
  expect(output.best(0)).toBe(digest([1, 2, 3], "short"));
  expect(chosen(await session.feed([4]))).toBe(digest([1, 2, 3, 4], "short"));
});

test("a fork goes its own way", async () => {
  const { session } = openSession();
  await session.feed([1, 2, 3]);
  const fork = session.fork();
  expect(chosen(await fork.feed([4]))).toBe(digest([1, 2, 3, 4], "short"));
  expect(chosen(await session.feed([5]))).toBe(digest([1, 2, 3, 5], "short"));
  expect(fork.ids).toEqual([1, 2, 3, 4]);
});

test("a session gives out one array, its own, and ends with its scope", async () => {
  const executor = new ScriptedExecutor({ next: digest });
  const caches: { disposed: boolean }[] = [];
  executor.createCache = ({ maxTokens }) => {
    const cache = new ScriptedCache(maxTokens, () => "short");
    caches.push(cache);
    return cache;
  };
  {
    using session = new Session(executor, { contextTokens: 64 });
    const first = await session.feed([1, 2]);
    const fork = session.fork();
    expect(await session.feed([3])).toBe(first);
    expect(chosen(first)).toBe(digest([1, 2, 3], "short"));
    expect(await fork.feed([4])).not.toBe(first);
    fork.close();
  }
  expect(caches.map(({ disposed }) => disposed)).toEqual([true]);
});

test("truncate forgets the rest", async () => {
  const { session } = openSession();
  await session.feed([1, 2, 3]);
  session.truncate(1);
  expect(chosen(await session.feed([7]))).toBe(digest([1, 7], "short"));
  expect(() => session.truncate(3)).toThrow("3 of 2 ids");
});
