import type { ChatMessage } from "../model/chat-template.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { type GeneratedPiece, type GenerateOptions, type Generation, generate } from "./generate.ts";
import { checkPromptFits, type Session } from "./session.ts";

/**
 * The conversation as the model reads it, ending where its answer begins; `specialTokens`: the tokenizer adds its own.
 */
export interface RenderedConversation {
  readonly text: string;
  readonly specialTokens: boolean;
}

export interface TurnOptions extends GenerateOptions {
  /** Called with the number of turns that were forgotten so that this one fits the context. */
  readonly onForget?: ((turns: number) => void) | undefined;
}

/** A conversation up to a turn of the user, as the model reads it. */
interface Prompt {
  /** The user's turn is the last. */
  readonly messages: readonly ChatMessage[];
  readonly rendered: RenderedConversation;
  /** All of it, encoded. */
  readonly ids: Int32Array;
}

export type RenderConversation = (messages: readonly ChatMessage[]) => RenderedConversation;

/** Share of the context that is kept free for an answer whose length is not limited. */
const ANSWER_SHARE = 1 / 4;

/** Turns of a conversation over one session. The KV cache is kept: a turn feeds only what the session does not hold. */
export class Conversation {
  readonly session: Session;
  private readonly tokenizer: Tokenizer;
  private readonly render: RenderConversation;
  private messages: readonly ChatMessage[] = [];
  /** The text that the session's ids and `unfed` stand for, the last answer included; null where that is not known. */
  private read: string | null = null;
  /** Ids of the last answer that the session was not fed. */
  private unfed: readonly number[] = [];

  /** `history`: turns of user and assistant that this conversation goes on from. */
  constructor(
    session: Session,
    tokenizer: Tokenizer,
    render: RenderConversation,
    history: readonly ChatMessage[] = [],
  ) {
    this.messages = history;
    this.session = session;
    this.tokenizer = tokenizer;
    this.render = render;
  }

  /** Messages so far, answers included. */
  get history(): readonly ChatMessage[] {
    return this.messages;
  }

  /**
   * Streams the answer to one message. A turn that fails, or is aborted before its answer begins, is forgotten. Where
   * the context has no room left, the oldest turns are forgotten, whole; what `render` puts before them stays.
   */
  async *say(content: string, options: TurnOptions): AsyncGenerator<GeneratedPiece, Generation> {
    const turn: ChatMessage = { role: "user", content };
    const prompt = this.promptOf(turn, options);
    const { messages, rendered } = prompt;
    const ids = this.idsToFeed(prompt, options.maxTokens ?? 0);
    this.read = null;
    const generation = yield* generate(this.session, this.tokenizer, ids, options);
    if (this.session.length < generation.promptTokens) return generation;
    const fedOfAnswer = this.session.length - generation.promptTokens;
    this.unfed = generation.ids.slice(fedOfAnswer);
    this.read = this.isWholeText(generation) ? rendered.text + generation.text : null;
    this.messages = [...messages, { role: "assistant", content: generation.text }];
    return generation;
  }

  /** True where the answer's text is all that its ids stand for: no stop string cut off, no special token left out. */
  private isWholeText({ reason, ids }: Generation): boolean {
    return reason !== "stop" && this.tokenizer.decode(ids, { skipSpecial: true }) === this.tokenizer.decode(ids);
  }

  /**
   * What the model is to read: the conversation and its new turn. The oldest turns are forgotten until the rest and an
   * answer fit; none where the turn would not fit alone either.
   */
  private promptOf(turn: ChatMessage, { maxTokens, onForget }: TurnOptions): Prompt {
    const { contextTokens } = this.session;
    const most = contextTokens - Math.min(maxTokens ?? contextTokens, Math.ceil(contextTokens * ANSWER_SHARE)) + 1;
    const whole = this.promptAfter(this.messages, turn);
    let fitting = whole;
    while (fitting.messages.length > 1 && fitting.ids.length > most) {
      fitting = this.promptAfter(fitting.messages.slice(2, -1), turn);
    }
    if (fitting === whole || fitting.ids.length > contextTokens) return whole;
    this.messages = fitting.messages.slice(0, -1);
    onForget?.((whole.messages.length - fitting.messages.length) / 2);
    return fitting;
  }

  private promptAfter(earlier: readonly ChatMessage[], turn: ChatMessage): Prompt {
    const messages = [...earlier, turn];
    const rendered = this.render(messages);
    const { text, specialTokens } = rendered;
    return { messages, rendered, ids: this.tokenizer.encode(text, { specialTokens }) };
  }

  /** Forgets every message. */
  reset(): void {
    this.session.truncate(0);
    this.messages = [];
    this.read = null;
  }

  /**
   * Ids that bring the session to the rendered text. Where the text goes on from what the session has read, only the
   * rest is fed, encoded by itself, so that the model keeps its own tokens; else (a template that rewrites earlier
   * turns, a stop string cut from an answer) the session goes back to where the two part.
   */
  private idsToFeed({ rendered, ids: encoded }: Prompt, maxTokens: number): number[] {
    if (this.read !== null && rendered.text.length > this.read.length && rendered.text.startsWith(this.read)) {
      const rest = this.tokenizer.encode(rendered.text.slice(this.read.length), { specialTokens: false });
      const ids = [...this.unfed, ...rest];
      // The model's own tokens may be more than those of the same text encoded, by which room was made.
      if (this.session.length + ids.length <= this.session.contextTokens) return ids;
    }
    const all = Array.from(encoded);
    checkPromptFits(all.length, maxTokens, this.session.contextTokens);
    const common = commonPrefix(all, this.session.ids);
    this.session.truncate(Math.max(0, Math.min(common, all.length - 1)));
    return all.slice(this.session.length);
  }
}

function commonPrefix(a: readonly number[], b: readonly number[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}
