import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readChatSession, writeChatSession } from "../../../src/cli/chat/session-file.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";

const folder = temporaryFolder();
const messages = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Yes.\n" },
];

describe("a conversation in a file", () => {
  test("comes back as it was", async () => {
    const file = path.join(folder, "kept.json");
    expect(await readChatSession(file)).toBeNull();
    await writeChatSession(file, { system: "Be kind.", messages });
    expect(await readChatSession(file)).toMatchObject({ system: "Be kind.", messages });
    expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ format: "layerwise-chat", version: 1 });
  });

  test.each([
    ["no JSON", "hello"],
    ["another document", '{"turns": []}'],
    ["a later version", JSON.stringify({ format: "layerwise-chat", version: 2, system: null, messages })],
    [
      "a turn without an answer",
      JSON.stringify({ format: "layerwise-chat", version: 1, system: null, messages: messages.slice(1) }),
    ],
  ])("refused: %s", async (_what, text) => {
    const file = path.join(folder, "bad.json");
    writeFileSync(file, text);
    await expect(readChatSession(file)).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining(file),
    });
  });

  test("a folder is no file to keep it in, and a save needs a name", async () => {
    await expect(readChatSession(folder)).rejects.toMatchObject({ name: "UserError" });
    await expect(writeChatSession(" ", { system: null, messages })).rejects.toMatchObject({ code: "CHAT_SAVE" });
  });
});
