import { describe, expect, test } from "vitest";
import { chatCommandOf, chatHelp } from "../../../src/cli/chat/chat-commands.ts";
import { UserError } from "../../../src/errors.ts";

describe("commands of a conversation", () => {
  test.each([
    ["/help", { name: "help" }],
    ["/reset ", { name: "reset" }],
    ["/quit", { name: "quit" }],
    ["/exit", { name: "quit" }],
    ["/bye", { name: "quit" }],
    ["/save my chat.json", { name: "save", file: "my chat.json" }],
    ["/save", { name: "save", file: "" }],
  ])("%j", (line, command) => {
    expect(chatCommandOf(line)).toEqual(command);
  });

  test.each(["hello", " /help", "a /quit", "/usr/bin\nis a folder", ""])("%j is a turn", (line) => {
    expect(chatCommandOf(line)).toBeNull();
  });

  test.each([
    ["/rest", "/rest: expected a command", "/reset"],
    ["/frobnicate now", "/frobnicate: expected a command", "/help lists them"],
    ["/quit now", '/quit: expected nothing behind it, found "now"', ""],
  ])("%j is refused, with what helps", (line, message, hint) => {
    expect(() => chatCommandOf(line)).toThrow(UserError);
    try {
      chatCommandOf(line);
    } catch (error) {
      expect(error).toMatchObject({ code: "CHAT_COMMAND", message: expect.stringContaining(message) });
      expect((error as UserError).hint ?? "").toContain(hint);
    }
  });

  test("help names every command", () => {
    const text = chatHelp().join("\n");
    for (const name of ["/help", "/reset", "/save", "/quit", "/exit", "/bye", '"""', "Ctrl-C"])
      expect(text).toContain(name);
  });
});
