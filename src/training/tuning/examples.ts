import { z } from "zod";
import { cutPassages } from "../../calibration/passages.ts";
import { UserError } from "../../errors.ts";
import { holdsRecords, type JsonRecord, jsonRecords } from "../../formats/json-records.ts";
import { refuseTable, textOf } from "../../formats/text-file.ts";
import { applyChatTemplate, type ChatMessage } from "../../model/chat-template.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";

/** Token ids of a sequence, and which of them are learned from. */
export interface Example {
  readonly ids: Int32Array;
  /** [ids]: 1 where the id is to be predicted, 0 where it is only read. The first never is. */
  readonly learned: Uint8Array;
}

/** A file of text to tune on. */
export interface TuningText {
  readonly label: string;
  readonly bytes: Uint8Array;
}

/** Longest text that is tokenized in one call: tokenizers without a pre-tokenizer take more than linear time. */
const MAX_PASSAGE_CHARS = 8192;

const text = z.string();
const Message = z.strictObject({ role: z.string().min(1), content: text });
/** What a line of a tuning file may be, by the field that tells. */
const RECORDS = {
  text: z.strictObject({ text }),
  prompt: z.strictObject({ prompt: text, completion: text }),
  messages: z.strictObject({ messages: z.array(Message).nonempty() }),
} as const;
type RecordKind = keyof typeof RECORDS;
const KINDS: readonly RecordKind[] = ["text", "prompt", "messages"];

/** A piece of an example's text. */
interface Piece {
  readonly text: string;
  readonly learned: boolean;
}

/** How a text becomes examples. */
export interface ExampleOptions {
  readonly tokenizer: Tokenizer;
  /** Tokens of a sequence at most. */
  readonly sequence: number;
}

/**
 * Examples of a file: running text is cut into sequences, all of it learned; of JSON lines {text}, {prompt, completion}
 * and {messages} (by the model's chat template) the answers are learned. Throws UserError TUNING_TEXT for unknown
 * fields, empty answers, nothing to learn and sequences that are too long, naming file and line.
 */
export function examplesOf({ label, bytes }: TuningText, options: ExampleOptions): Example[] {
  const whole = textOf(bytes, label);
  refuseTable(whole, label);
  const found = holdsRecords(whole, label)
    ? jsonRecords(whole, label, (where, found) => bad(where, "JSON lines", found)).flatMap((record) =>
        recordExamples(record, options),
      )
    : textExamples(whole, options);
  if (found.length === 0) throw bad(label, "text to learn from", "none");
  return found;
}

function recordExamples({ where, value }: JsonRecord, options: ExampleOptions): Example[] {
  const kind = KINDS.find((one) => isObject(value) && Object.hasOwn(value, one));
  if (!kind) {
    const fields = isObject(value) ? Object.keys(value).map((name) => JSON.stringify(name)) : [];
    throw bad(where, "text, or prompt and completion, or messages", fields.length > 0 ? fields.join(", ") : "none");
  }
  if (kind === "text") return textExamples(parsed(RECORDS.text, value, where).text, options, where);
  const pieces =
    kind === "prompt"
      ? answerPieces(parsed(RECORDS.prompt, value, where), options.tokenizer, where)
      : chatPieces(parsed(RECORDS.messages, value, where).messages, options.tokenizer, where);
  const example = joined(pieces, kind === "prompt" ? options.tokenizer.beginning : [], options.tokenizer);
  if (!example.learned.includes(1)) throw bad(where, "an answer of some tokens", "none");
  if (example.ids.length > options.sequence) {
    const found = `${example.ids.length}`;
    throw bad(where, `at most ${options.sequence} tokens`, found, "shorten it, or give a larger --sequence");
  }
  return [example];
}

function parsed<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  if (issue.code === "unrecognized_keys") {
    throw bad(where, "no other fields", issue.keys.map((key) => JSON.stringify(key)).join(", "));
  }
  throw new UserError("TUNING_TEXT", `${where}: ${issue.path.join(".")}: ${issue.message}`);
}

/**
 * Running text in sequences of the wanted length, each beginning as texts of the model do; a rest of one id is left.
 */
function textExamples(running: string, { tokenizer, sequence }: ExampleOptions, where?: string): Example[] {
  if (where !== undefined && running.trim() === "") throw bad(where, "text", "none");
  const ids: number[] = [];
  for (const passage of cutPassages([running], MAX_PASSAGE_CHARS)) {
    for (const id of tokenizer.encode(passage, { specialTokens: false })) ids.push(id);
  }
  const { beginning } = tokenizer;
  const body = sequence - beginning.length;
  if (body < 1) throw bad("sequence", `more than ${beginning.length} tokens`, String(sequence));
  const examples: Example[] = [];
  for (let at = 0; at < ids.length; at += body) {
    const part = ids.slice(at, at + body);
    if (beginning.length + part.length < 2) continue;
    const learned = new Uint8Array(beginning.length + part.length).fill(1);
    learned.fill(0, 0, Math.max(1, beginning.length));
    examples.push({ ids: Int32Array.from([...beginning, ...part]), learned });
  }
  return examples;
}

function answerPieces(
  { prompt, completion }: { readonly prompt: string; readonly completion: string },
  tokenizer: Tokenizer,
  where: string,
): Piece[] {
  if (completion.trim() === "") throw bad(where, "a completion", "an empty one");
  const end = tokenizer.eosToken === null ? "" : (tokenizer.specialTexts.eos_token ?? "");
  return [
    { text: prompt, learned: false },
    { text: completion + end, learned: true },
  ];
}

/**
 * The conversation as the template renders it; what it adds for an answer to a conversation that awaits one is learned.
 */
function chatPieces(messages: readonly ChatMessage[], tokenizer: Tokenizer, where: string): Piece[] {
  const pieces: Piece[] = [];
  let rendered = "";
  const goOn = (to: string, learned: boolean) => {
    if (!to.startsWith(rendered)) throw bad(where, "a chat template that only adds to what it has rendered", "another");
    pieces.push({ text: to.slice(rendered.length), learned });
    rendered = to;
  };
  for (const [i, { role, content }] of messages.entries()) {
    if (role !== "assistant") continue;
    if (content.trim() === "") throw bad(`${where}: messages.${i}`, "an answer", "an empty one");
    goOn(applyChatTemplate(tokenizer, messages.slice(0, i), { addGenerationPrompt: true }), false);
    goOn(applyChatTemplate(tokenizer, messages.slice(0, i + 1)), true);
  }
  if (pieces.length === 0) throw bad(where, "an answer (role assistant)", "none");
  return pieces;
}

/** Pieces are encoded by themselves: no token is of a question and an answer. */
function joined(pieces: readonly Piece[], beginning: readonly number[], tokenizer: Tokenizer): Example {
  const ids = [...beginning];
  const learned = beginning.map(() => 0);
  for (const piece of pieces) {
    for (const id of tokenizer.encode(piece.text, { specialTokens: false })) {
      ids.push(id);
      // Nothing predicts the first id.
      learned.push(piece.learned && ids.length > 1 ? 1 : 0);
    }
  }
  return { ids: Int32Array.from(ids), learned: Uint8Array.from(learned) };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function bad(where: string, expected: string, found: string, hint?: string): UserError {
  return new UserError("TUNING_TEXT", `${where}: expected ${expected}, found ${found}`, hint);
}
