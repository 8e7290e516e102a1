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
    this.makeRoom(turn, options);
    const messages = [...this.messages, turn];
    const rendered = this.render(messages);
    const ids = this.idsToFeed(rendered, options.maxTokens ?? 0);
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

  /** Forgets the oldest turns until the rest and an answer fit; none where the turn would not fit alone either. */
  private makeRoom(turn: ChatMessage, { maxTokens, onForget }: TurnOptions): void {
    const { contextTokens } = this.session;
    const most = contextTokens - Math.min(maxTokens ?? contextTokens, Math.ceil(contextTokens * ANSWER_SHARE)) + 1;
    const fits = (messages: readonly ChatMessage[], limit: number): boolean => {
      const { text, specialTokens } = this.render([...messages, turn]);
      return this.tokenizer.encode(text, { specialTokens }).length <= limit;
    };
    let kept = this.messages;
    while (kept.length > 0 && !fits(kept, most)) kept = kept.slice(2);
    const forgotten = (this.messages.length - kept.length) / 2;
    if (forgotten === 0 || !fits(kept, contextTokens)) return;
    this.messages = kept;
    onForget?.(forgotten);
  }

  /** Forgets every message. */
  reset(): void {
    this.session.truncate(0);
    this.messages = [];
    this.read = null;
  }

  /**
   * Ids that bring the session to the rendered text. Where the text goes on from what the session has read, only the
   * rest is encoded, so that the model keeps its own tokens; else (a template that rewrites earlier turns, a stop
   * string cut from an answer) all is encoded and the session goes back to where the two part.
   */
  private idsToFeed(rendered: RenderedConversation, maxTokens: number): number[] {
    if (this.read !== null && rendered.text.length > this.read.length && rendered.text.startsWith(this.read)) {
      const rest = this.tokenizer.encode(rendered.text.slice(this.read.length), { specialTokens: false });
      const ids = [...this.unfed, ...rest];
      // The model's own tokens may be more than those of the same text encoded, by which room was made.
      if (this.session.length + ids.length <= this.session.contextTokens) return ids;
    }
    const all = Array.from(this.tokenizer.encode(rendered.text, { specialTokens: rendered.specialTokens }));
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
