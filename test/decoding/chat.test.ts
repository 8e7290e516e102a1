import { describe, expect, test } from "vitest";
import { Conversation, type RenderConversation, type TurnOptions } from "../../src/decoding/chat.ts";
import type { Generation } from "../../src/decoding/generate.ts";
import { Session } from "../../src/decoding/session.ts";
import { LETTERS, type Script, ScriptedExecutor } from "./scripted-executor.ts";

/** "U:hello\nA:" … and the answer before the next turn, as it is or trimmed (a template that rewrites). */
const rendering =
  (rewrite: (answer: string) => string = (answer) => answer): RenderConversation =>
  (messages) => ({
    text: messages
      .map(({ role, content }) => (role === "user" ? `U:${content}\nA:` : `${rewrite(content)}</s>\n`))
      .join(""),
    specialTokens: false,
  });

/** Answers a turn with its number of letters so far in stars, then the end. */
const stars: Script["next"] = (ids) => {
  const text = LETTERS.decode(ids);
  const answer = text.slice(text.lastIndexOf("A:") + 2);
  return answer.length < 4 ? " **!".charCodeAt(answer.length) : 3;
};

function open(render: RenderConversation, contextTokens = 200) {
  const executor = new ScriptedExecutor({ next: stars });
  const session = new Session(executor, { contextTokens });
  return { executor, session, conversation: new Conversation(session, LETTERS, render) };
}

async function say(conversation: Conversation, text: string, options: Partial<TurnOptions> = {}): Promise<Generation> {
  const stream = conversation.say(text, { maxTokens: null, ...options });
  for (;;) {
    const step = await stream.next();
    if (step.done) return step.value;
  }
}

describe("Conversation", () => {
  test("a second turn feeds only what is new", async () => {
    const { executor, session, conversation } = open(rendering());
    expect((await say(conversation, "one")).text).toBe(" **!");
    expect(executor.chunks).toEqual(["U:one\nA:".length, 1, 1, 1, 1]);
    executor.chunks.length = 0;
    const second = await say(conversation, "two");
    expect(second.text).toBe(" **!");
    expect(executor.chunks[0]).toBe(1 + "\nU:two\nA:".length);
    expect(second.reusedTokens).toBe("U:one\nA: **!".length);
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: **!</s>\nU:two\nA: **!");
    expect(conversation.history.map((message) => message.content)).toEqual(["one", " **!", "two", " **!"]);
  });

  test("the last token of a cut answer is fed with the next turn", async () => {
    const { session, conversation } = open(rendering());
    await say(conversation, "one", { maxTokens: 2 });
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: ");
    await say(conversation, "two");
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: *</s>\nU:two\nA: **!");
  });

  test("a template that rewrites answers gets what it rewrote", async () => {
    const { session, conversation } = open(rendering((answer) => answer.trim()));
    await say(conversation, "one");
    const second = await say(conversation, "two");
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA:**!</s>\nU:two\nA: **!");
    expect(second.reusedTokens).toBe("U:one\nA:".length);
  });

  test("an answer cut at a stop string stands in the history without it", async () => {
    const { session, conversation } = open(rendering());
    await say(conversation, "one", { stop: ["*!"] });
    await say(conversation, "two");
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: *</s>\nU:two\nA: **!");
  });

  test("a turn that does not fit is refused and leaves the conversation usable", async () => {
    const { session, conversation } = open(rendering(), 40);
    await say(conversation, "one");
    await expect(say(conversation, "x".repeat(40))).rejects.toThrow("the model's context is 40 tokens");
    expect(conversation.history).toHaveLength(2);
    await say(conversation, "two");
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: **!</s>\nU:two\nA: **!");
  });

  test("a turn aborted before its answer began is forgotten", async () => {
    const { session, conversation } = open(rendering());
    await say(conversation, "one");
    const aborted = await say(conversation, "two", { signal: AbortSignal.abort() });
    expect(aborted.reason).toBe("aborted");
    expect(conversation.history).toHaveLength(2);
    await say(conversation, "three");
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: **!</s>\nU:three\nA: **!");
  });

  test("reset forgets", async () => {
    const { session, conversation } = open(rendering());
    await say(conversation, "one");
    conversation.reset();
    expect(session.length).toBe(0);
    await say(conversation, "two");
    expect(LETTERS.decode(session.ids)).toBe("U:two\nA: **!");
  });

  describe("a context that is full forgets the oldest turns, whole", () => {
    const withSystem: RenderConversation = (messages) => ({
      text: `S:be kind\n${rendering()(messages).text}`,
      specialTokens: false,
    });
    // "S:be kind\n" is 10 tokens, "U:one\nA: **!</s>\n" 14: of 60 a quarter stays free for the answer.
    const full = () => open(withSystem, 60);

    test("keeps what stands before them, and says how many went", async () => {
      const { session, conversation } = full();
      const forgotten: number[] = [];
      const onForget = (turns: number) => forgotten.push(turns);
      for (const text of ["one", "two"]) await say(conversation, text, { onForget });
      expect(forgotten).toEqual([]);
      expect((await say(conversation, "six", { onForget })).text).toBe(" **!");
      expect(forgotten).toEqual([]);
      await say(conversation, "ten", { onForget });
      expect(forgotten).toEqual([1]);
      expect(LETTERS.decode(session.ids)).toBe("S:be kind\nU:two\nA: **!</s>\nU:six\nA: **!</s>\nU:ten\nA: **!");
      expect(conversation.history.map(({ content }) => content)).toEqual(["two", " **!", "six", " **!", "ten", " **!"]);
    });

    test("a long turn takes more of them; one that does not fit alone none", async () => {
      const { session, conversation } = full();
      const forgotten: number[] = [];
      const onForget = (turns: number) => forgotten.push(turns);
      for (const text of ["one", "two"]) await say(conversation, text);
      await expect(say(conversation, "x".repeat(60), { onForget })).rejects.toMatchObject({ code: "CONTEXT" });
      expect(conversation.history).toHaveLength(4);
      await say(conversation, "y".repeat(28), { onForget });
      expect(forgotten).toEqual([2]);
      expect(LETTERS.decode(session.ids)).toBe(`S:be kind\nU:${"y".repeat(28)}\nA: **!`);
    });

    test("room is made for as many tokens as are asked for", async () => {
      const { conversation } = full();
      const forgotten: number[] = [];
      const onForget = (turns: number) => forgotten.push(turns);
      for (const text of ["one", "two", "six"]) await say(conversation, text);
      await say(conversation, "t", { maxTokens: 1, onForget });
      expect(forgotten).toEqual([]);
    });
  });

  test("goes on from turns that another conversation had", async () => {
    const first = open(rendering());
    await say(first.conversation, "one");
    const { session } = open(rendering());
    const resumed = new Conversation(session, LETTERS, rendering(), first.conversation.history);
    await say(resumed, "two");
    expect(LETTERS.decode(session.ids)).toBe("U:one\nA: **!</s>\nU:two\nA: **!");
    expect(resumed.history).toHaveLength(4);
  });
});
