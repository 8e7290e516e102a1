import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { UserError } from "../errors.ts";
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
  const variables = {
    ...tokenizer.specialTexts,
    messages: messages.map(({ role, content }) => ({ role, content })),
    add_generation_prompt: addGenerationPrompt,
  };
  try {
    return render(tokenizer.chatTemplate, variables, now);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, " ");
    throw new UserError(
      "CHAT_TEMPLATE",
      `${tokenizer.label}: chat template: expected to render ${messages.length} messages: ${reason}`,
      "the template may want turns of user and assistant in alternation, or no system message",
    );
  }
}

/** Not Template.render: its strftime_now reads the clock and the machine's language. */
function render(source: string, variables: Readonly<Record<string, unknown>>, now: Date): string {
  const environment = new Environment();
  const globals = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (reason: unknown): never => {
      throw new Error(String(reason));
    },
    range: (first: number, second?: number, step = 1) =>
      rangeOf(second === undefined ? 0 : first, second ?? first, step),
    strftime_now: (format: string) => strftime(now, format),
  };
  for (const [name, value] of Object.entries({ ...globals, ...variables })) environment.set(name, value);
  return String(new Interpreter(environment).run(new Template(source).parsed).value);
}

function rangeOf(start: number, stop: number, step: number): number[] {
  const length = Math.max(0, Math.ceil((stop - start) / step));
  return Array.from({ length }, (_, i) => start + i * step);
}

const MONTHS = "January February March April May June July August September October November December".split(" ");
const DAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");

/**
 * Python's strftime in the C locale, for the directives that templates use; UTC. An unknown directive stays as it is.
 */
function strftime(date: Date, format: string): string {
  const two = (x: number) => String(x).padStart(2, "0");
  const parts: Readonly<Record<string, string>> = {
    Y: String(date.getUTCFullYear()),
    y: two(date.getUTCFullYear() % 100),
    m: two(date.getUTCMonth() + 1),
    d: two(date.getUTCDate()),
    B: MONTHS[date.getUTCMonth()],
    b: MONTHS[date.getUTCMonth()].slice(0, 3),
    A: DAYS[date.getUTCDay()],
    a: DAYS[date.getUTCDay()].slice(0, 3),
    H: two(date.getUTCHours()),
    M: two(date.getUTCMinutes()),
    S: two(date.getUTCSeconds()),
    "%": "%",
  };
  return format.replaceAll(/%([a-zA-Z%])/g, (directive, letter: string) => parts[letter] ?? directive);
}
