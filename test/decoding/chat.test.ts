import { describe, expect, test } from "vitest";
import { Conversation, type RenderConversation } from "../../src/decoding/chat.ts";
import type { GenerateOptions, Generation } from "../../src/decoding/generate.ts";
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

async function say(
  conversation: Conversation,
  text: string,
  options: Partial<GenerateOptions> = {},
): Promise<Generation> {
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
    await expect(say(conversation, "x".repeat(40))).rejects.toThrow("the artifact's context is 40 tokens");
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
});
