import { z } from "zod";
import { nullOn, UserError } from "../../errors.ts";
import { checkTarget, readJsonFile, writeFileAtomic } from "../../formats/files.ts";
import type { ChatMessage } from "../../model/chat-template.ts";

/** A conversation as a file keeps it. */
export interface ChatSession {
  /** The system message, or null. */
  readonly system: string | null;
  /** Turns of user and assistant. */
  readonly messages: readonly ChatMessage[];
}

const message = z.strictObject({ role: z.enum(["user", "assistant"]), content: z.string() });
const SessionFile = z.strictObject({
  format: z.literal("layerwise-chat"),
  version: z.literal(1),
  system: z.string().nullable(),
  messages: z
    .array(message)
    .refine(
      (messages) => messages.length % 2 === 0 && messages.every(({ role }, i) => (role === "user") === (i % 2 === 0)),
      "expected turns of user and assistant in alternation, an answer last",
    ),
});

/** The conversation in a file; null where there is no such file yet. UserError for a file that is no conversation. */
export async function readChatSession(file: string): Promise<ChatSession | null> {
  await checkTarget(file);
  return nullOn("FILE_NOT_FOUND", () => readJsonFile(file, SessionFile));
}

/** Writes a conversation, whole or not at all. */
export async function writeChatSession(file: string, session: ChatSession): Promise<void> {
  if (file.trim() === "")
    throw new UserError("CHAT_SAVE", "save: expected the name of a file, found none", "/save FILE");
  const document = { format: "layerwise-chat", version: 1, ...session };
  await writeFileAtomic(file, `${JSON.stringify(document, null, 2)}\n`);
}
