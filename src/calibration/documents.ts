import { createHash } from "node:crypto";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { readFileBytes } from "../formats/files.ts";
import { holdsRecords, jsonRecords } from "../formats/json-records.ts";
import { refuseTable, textOf } from "../formats/text-file.ts";
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
const Document = z.union([z.object({ text: z.string() }), z.object({ messages: z.array(Message).min(1) })]);

/**
 * Reads a file: JSON holds one `{"text": …}` or `{"messages": […]}` a line, or all of them in an array, whatever the
 * file's name; everything else is plain UTF-8 text and one document. Throws UserError for unreadable, oversized, empty
 * or malformed files (with line or item), and `FOREIGN_FILE` for what is no text or a table, by its kind.
 */
export async function readSourceText(file: string, renderChat: RenderChat): Promise<SourceText> {
  const bytes = await readFileBytes(file, MAX_SOURCE_BYTES);
  const text = textOf(bytes, file).replaceAll("\r\n", "\n");
  refuseTable(text, file);
  const form = FORMS.find(({ holds }) => holds(text, file));
  const all = form ? form.documents(file, text, renderChat) : [text];
  const documents = all.filter((document) => document.trim() !== "");
  if (documents.length === 0) {
    throw new UserError("CALIBRATION_EMPTY", `${file}: calibration text: expected some text, found none`);
  }
  return { path: file, sha256: createHash("sha256").update(bytes).digest("hex"), documents };
}

/** A form of text. */
interface Form {
  /** Whether a text is of this form, by itself or its file's name. */
  readonly holds: (text: string, file: string) => boolean;
  /**
   * Its documents; `file` is for messages. Throws UserError naming file and place where the text is not of the form.
   */
  readonly documents: (file: string, text: string, renderChat: RenderChat) => string[];
}

const EXPECTED = 'expected {"text": …} or {"messages": [{"role": …, "content": …}, …]}';

function jsonDocuments(file: string, text: string, renderChat: RenderChat): string[] {
  const bad = (where: string, found: string) =>
    new UserError("CALIBRATION_JSON", `${where}: JSON: ${EXPECTED}, one a line or an array of them, found ${found}`);
  return jsonRecords(text, file, bad).map(({ where, value }) => {
    const record = Document.safeParse(value);
    if (!record.success) throw bad(where, describe(value));
    return "text" in record.data ? record.data.text : renderAt(where, record.data.messages, renderChat);
  });
}

function describe(value: unknown): string {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return Array.isArray(value) ? "a list" : typeof value;
  return `keys ${Object.keys(value).join(", ")}`;
}

function renderAt(where: string, messages: readonly ChatMessage[], renderChat: RenderChat): string {
  try {
    return renderChat(messages);
  } catch (error) {
    if (error instanceof UserError) throw new UserError(error.code, `${where}: ${error.message}`, error.hint);
    throw error;
  }
}

/** Forms of text, the first that fits; all else is plain text, one document. A new one gets a line here. */
const FORMS: readonly Form[] = [{ holds: holdsRecords, documents: jsonDocuments }];
