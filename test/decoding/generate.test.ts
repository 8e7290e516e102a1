import { describe, expect, test } from "vitest";
import { type GenerateOptions, type Generation, generate } from "../../src/decoding/generate.ts";
import { Session } from "../../src/decoding/session.ts";
import { END, LETTERS, type Script, ScriptedExecutor, sayAfter } from "./scripted-executor.ts";

interface Outcome {
  readonly pieces: string[];
  readonly result: Generation;
  readonly session: Session;
  readonly executor: ScriptedExecutor;
}

async function run(
  prompt: string,
  script: Script,
  options: Partial<GenerateOptions> = {},
  contextTokens = 100,
): Promise<Outcome> {
  const executor = new ScriptedExecutor(script);
  const session = new Session(executor, { contextTokens });
  const stream = generate(session, LETTERS, LETTERS.encode(prompt), { maxTokens: null, ...options });
  const pieces: string[] = [];
  for (;;) {
    const step = await stream.next();
    if (step.done) return { pieces, result: step.value, session, executor };
    pieces.push(step.value.text);
  }
}

describe("generation ends with a stated reason", () => {
  test("eos: the token itself is neither text nor id", async () => {
    const { result, pieces, session } = await run("Hi", { next: sayAfter(2, "there") });
    expect(result).toMatchObject({ reason: "eos", text: "there", promptTokens: 2, stop: null });
    expect(pieces.join("")).toBe("there");
    expect(LETTERS.decode(result.ids)).toBe("there");
    expect(result.depths).toEqual([1, 1, 1, 1, 1]);
    expect(LETTERS.decode(session.ids)).toBe("Hithere");
  });

  test("eos: also at tokens that end a turn, unless ends are ignored", async () => {
    const script = { next: sayAfter(2, "there") };
    const endTokens = ["r".charCodeAt(0)];
    expect((await run("Hi", script, { endTokens })).result).toMatchObject({ reason: "eos", text: "the" });
    const ignored = await run("Hi", script, { endTokens, ignoreEos: true, maxTokens: 5 });
    expect(ignored.result).toMatchObject({ reason: "length", text: "there" });
  });

  test("length", async () => {
    const { result, session } = await run("Hi", { next: sayAfter(2, "there") }, { maxTokens: 3 });
    expect(result).toMatchObject({ reason: "length", text: "the" });
    expect(session.length).toBe(4);
  });

  test("length: no token asked for, none computed", async () => {
    const { result, executor } = await run("Hi", { next: sayAfter(2, "there") }, { maxTokens: 0 });
    expect(result).toMatchObject({ reason: "length", text: "", firstTokenMs: null });
    expect(executor.chunks).toEqual([]);
  });

  test.each([Number.NaN, -1, 1.5])("a length of %d is refused before anything is computed", async (maxTokens) => {
    const refused = { code: "MAX_TOKENS", message: expect.stringContaining(`found ${maxTokens}`) };
    await expect(run("Hi", { next: sayAfter(2, "there") }, { maxTokens })).rejects.toMatchObject(refused);
  });

  test("stop string: nothing of it is streamed", async () => {
    const { result, pieces } = await run("Hi", { next: sayAfter(2, "one two three") }, { stop: ["o t"] });
    expect(result).toMatchObject({ reason: "stop", stop: "o t", text: "one tw" });
    expect(pieces.join("")).toBe("one tw");
  });

  test("stop string that is a special token", async () => {
    const next: Script["next"] = (ids) => (ids.length === 4 ? END : 65);
    const { result } = await run("Hi", { next }, { stop: ["</s>"], ignoreEos: true });
    expect(result).toMatchObject({ reason: "stop", stop: "</s>", text: "AA" });
  });

  test("text held back for a stop string that does not come is given at the end", async () => {
    const { result, pieces } = await run("Hi", { next: sayAfter(2, "one tw") }, { stop: ["two"] });
    expect(result).toMatchObject({ reason: "eos", text: "one tw" });
    expect(pieces.at(-1)).toBe("tw");
  });

  test("context: the last token needs no room", async () => {
    const { result, session } = await run("Hello", { next: () => 65 }, {}, 8);
    expect(result).toMatchObject({ reason: "context", text: "AAAA" });
    expect(session.length).toBe(8);
  });

  test("context: a prompt that fills it still gets one token", async () => {
    const { result } = await run("12345678", { next: () => 65 }, {}, 8);
    expect(result).toMatchObject({ reason: "context", text: "A" });
  });

  test("aborted, while generating and within the prompt", async () => {
    const aborter = new AbortController();
    const next: Script["next"] = (ids) => {
      if (ids.length === 5) aborter.abort();
      return 65;
    };
    const { result } = await run("Hi", { next }, { signal: aborter.signal });
    expect(result).toMatchObject({ reason: "aborted", text: "AAAA" });
    const { result: none, session } = await run("Hi", { next }, { signal: aborter.signal });
    expect(none).toMatchObject({ reason: "aborted", text: "" });
    expect(session.length).toBe(0);
  });
});

test("a prompt beyond the context is refused before anything is computed", async () => {
  await expect(run("123456789", { next: () => 65 }, { maxTokens: 128 }, 8)).rejects.toThrow(
    "prompt of 9 tokens and 128 to generate: the model's context is 8 tokens",
  );
  await expect(run("", { next: () => 65 })).rejects.toThrow("expected at least one token");
});

test("ignoreEos goes on past the end", async () => {
  const next: Script["next"] = (ids) => (ids.length === 3 ? END : 65);
  const { result } = await run("Hi", { next }, { ignoreEos: true, maxTokens: 4 });
  expect(result).toMatchObject({ reason: "length", ids: [65, END, 65, 65], text: "AAA" });
});

test("times: first token, and the rest to the last", async () => {
  let clock = 0;
  const now = () => clock;
  const next: Script["next"] = () => {
    clock += 10;
    return 65;
  };
  const { result } = await run("Hi", { next }, { now, maxTokens: 4 });
  expect(result).toMatchObject({ firstTokenMs: 10, generateMs: 30 });
});
