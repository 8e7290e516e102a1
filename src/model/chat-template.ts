import { UserError } from "../errors.ts";
import { jinjaGlobals, RaisedByTemplate } from "./jinja/globals.ts";
import { renderTemplate } from "./jinja/interpreter.ts";
import { fromJson, type JinjaValue } from "./jinja/values.ts";
import { withinTime } from "./time-limit.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One turn of a conversation; `role` is usually system, user or assistant. */
export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface ChatTemplateOptions {
  /** End with the opening of an assistant's turn (default false). */
  readonly addGenerationPrompt?: boolean;
  /** Date for templates that write one; the default is a fixed day, so that the same messages give the same text. */
  readonly now?: Date;
}

/** Longest that rendering may take: a hundred times what it takes, and each step of a template may be a long one. */
const [MAX_START_MS, MAX_MS_A_MESSAGE] = [1000, 10];

/** The day that Llama 3's template writes where it is told none. */
const FIXED_DAY = new Date(Date.UTC(2024, 6, 26));

/**
 * The conversation as text, by the model's own Jinja template. It holds the special tokens already: encode it with
 * `specialTokens: false`. UserError where there is no template, or the template refuses the messages.
 */
export function applyChatTemplate(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  { addGenerationPrompt = false, now = FIXED_DAY }: ChatTemplateOptions = {},
): string {
  if (tokenizer.chatTemplate === null) {
    throw new UserError(
      "CHAT_TEMPLATE_MISSING",
      `${tokenizer.label}: chat template: expected one in chat_template.jinja or tokenizer_config.json, found none`,
      "this is a base model: give it plain text, or put the template of its fine-tuned sibling into chat_template.jinja",
    );
  }
  try {
    const { chatTemplate } = tokenizer;
    const variables = new Map([...jinjaGlobals(now), ...variablesOf(tokenizer, messages, addGenerationPrompt)]);
    return withinTime(MAX_START_MS + messages.length * MAX_MS_A_MESSAGE, () => renderTemplate(chatTemplate, variables));
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    // What a stack without room throws.
    const reason = error instanceof RangeError ? "it nests too deeply" : said.replaceAll(/\s+/g, " ");
    throw new UserError(
      "CHAT_TEMPLATE",
      `${tokenizer.label}: chat template: expected to render ${messages.length} messages: ${reason}`,
      error instanceof RaisedByTemplate
        ? "the template may want turns of user and assistant in alternation, or no system message"
        : "the template has a fault, or a form that is not supported (docs/tokenizers.md): write it otherwise in chat_template.jinja",
    );
  }
}

/** As transformers' apply_chat_template names them: what is not used is None. */
function variablesOf(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  addGenerationPrompt: boolean,
): Map<string, JinjaValue> {
  const named = {
    ...tokenizer.specialTexts,
    messages: messages.map(({ role, content }) => ({ role, content })),
    tools: null,
    documents: null,
    add_generation_prompt: addGenerationPrompt,
  };
  return new Map(Object.entries(named).map(([name, value]) => [name, fromJson(value)]));
}
