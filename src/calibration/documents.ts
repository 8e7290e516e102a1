import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { decodeText, readFileBytes } from "../formats/files.ts";
import { parseJson } from "../formats/json.ts";
import type { ChatMessage } from "../model/chat-template.ts";

/** Files are read whole (their sha256 is kept), so there is a limit; far above what calibration can use. */
const MAX_SOURCE_BYTES = 256 * 1024 * 1024;

/** Turns a conversation into text: the checkpoint's chat template. */
export type RenderChat = (messages: readonly ChatMessage[]) => string;

/** A file's text as documents; documents of one file need not follow from one another. */
export interface SourceText {
  readonly path: string;
  readonly sha256: string;
  readonly documents: readonly string[];
}

const Message = z.object({ role: z.string(), content: z.string() });
/** Other keys may be present and mean nothing; `text` wins over `messages`. */
const Line = z.union([z.object({ text: z.string() }), z.object({ messages: z.array(Message).min(1) })]);

/**
 * Reads a file: `.jsonl` and `.ndjson` hold one `{"text": …}` or `{"messages": […]}` a line, everything else is plain
 * UTF-8 text and one document. Throws UserError for unreadable, oversized, empty or malformed files (with file:line).
 */
export async function readSourceText(file: string, renderChat: RenderChat): Promise<SourceText> {
  const bytes = await readFileBytes(file, MAX_SOURCE_BYTES);
  const text = decodeText(bytes, file).replaceAll("\r\n", "\n");
  const form = FORMS.get(path.extname(file).toLowerCase()) ?? plainText;
  const documents = form(file, text, renderChat).filter((document) => document.trim() !== "");
  if (documents.length === 0) {
    throw new UserError("CALIBRATION_EMPTY", `${file}: calibration text: expected some text, found none`);
  }
  return { path: file, sha256: createHash("sha256").update(bytes).digest("hex"), documents };
}

/**
 * A file's text as documents; `file` is for messages. Throws UserError naming file and line where the text is not of
 * that form.
 */
type Form = (file: string, text: string, renderChat: RenderChat) => string[];

const plainText: Form = (_, text) => [text];

function parseLines(file: string, text: string, renderChat: RenderChat): string[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const where = `${file}:${i + 1}`;
    const record = parseLine(where, line);
    return ["text" in record ? record.text : renderAt(where, record.messages, renderChat)];
  });
}

function renderAt(where: string, messages: readonly ChatMessage[], renderChat: RenderChat): string {
  try {
    return renderChat(messages);
  } catch (error) {
    if (error instanceof UserError) throw new UserError(error.code, `${where}: ${error.message}`, error.hint);
    throw error;
  }
}

function parseLine(where: string, line: string): z.infer<typeof Line> {
  const expected = 'expected {"text": …} or {"messages": [{"role": …, "content": …}, …]}';
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll("\n", " ") : "bad JSON";
    throw new UserError("CALIBRATION_JSON", `${where}: JSON: ${expected}, found ${reason}`);
  }
  const record = Line.safeParse(value);
  if (record.success) return record.data;
  const keys = typeof value === "object" && value !== null ? `keys ${Object.keys(value).join(", ")}` : typeof value;
  throw new UserError("CALIBRATION_JSON", `${where}: line: ${expected} with strings, found ${keys}`);
}

/**
 * Forms of text by the end of a file's name; all others are plain text, one document. A new one is a function and a
 * line here.
 */
const FORMS: ReadonlyMap<string, Form> = new Map([
  [".jsonl", parseLines],
  [".ndjson", parseLines],
]);
