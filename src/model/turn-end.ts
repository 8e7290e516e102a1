import { UserError } from "../errors.ts";
import { applyChatTemplate, type ChatMessage } from "./chat-template.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Tokens that end an assistant's turn in published models, whatever their files call the end; as in llama.cpp. */
const NAMES = [
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<end_of_turn>",
  "<|end_of_turn|>",
  "<turn|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|eom_id|>",
  "<|EOT|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "<end_of_utterance>",
  "<｜end▁of▁sentence｜>",
];

/** What ends an answer in a chat, beside the model's own end tokens. */
export interface TurnEnd {
  readonly ids: readonly number[];
  /** False where the template puts no special token behind an answer: nothing may end one but a stop string. */
  readonly inTemplate: boolean;
}

/** Found by rendering a conversation, and by names; a model of many fine-tunes still names its base's end alone. */
export function turnEndOf(tokenizer: Tokenizer): TurnEnd {
  const ofTemplate = PROBES.map((probe) => tokenBehindAnswer(tokenizer, probe)).find((id) => id !== null) ?? null;
  const named = NAMES.flatMap((name) => idOf(tokenizer, name) ?? []);
  return {
    ids: [...new Set([...(ofTemplate === null ? [] : [ofTemplate]), ...named])],
    inTemplate: ofTemplate !== null,
  };
}

const ANSWER = "Qwxz.";
const QUESTION: ChatMessage = { role: "user", content: "Jvkq?" };
/** A template may end each turn but the last, or the last alone. */
const PROBES: readonly (readonly ChatMessage[])[] = [
  [QUESTION, { role: "assistant", content: ANSWER }, QUESTION],
  [QUESTION, { role: "assistant", content: ANSWER }],
];

/** The special token that the template puts behind an answer, white space apart; null where it puts none. */
function tokenBehindAnswer(tokenizer: Tokenizer, probe: readonly ChatMessage[]): number | null {
  const text = unlessRefused(() => applyChatTemplate(tokenizer, probe));
  const at = text?.indexOf(ANSWER) ?? -1;
  if (text === null || at < 0) return null;
  const ids = unlessRefused(() => tokenizer.encode(text.slice(at + ANSWER.length), { specialTokens: false }));
  const id = ids?.find((one) => tokenizer.decode([one]).trim() !== "");
  return id !== undefined && tokenizer.decode([id], { skipSpecial: true }) === "" ? id : null;
}

function idOf(tokenizer: Tokenizer, text: string): number | null {
  const ids = unlessRefused(() => tokenizer.encode(text, { specialTokens: false }));
  return ids?.length === 1 && tokenizer.decode(ids) === text ? ids[0] : null;
}

/** Null where the template or the tokenizer does not take the text: the conversation itself will say so. */
function unlessRefused<T>(make: () => T): T | null {
  try {
    return make();
  } catch (error) {
    if (error instanceof UserError) return null;
    throw error;
  }
}
