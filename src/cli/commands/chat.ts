import type { RenderedConversation } from "../../decoding/chat.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import { Interrupted, UserError } from "../../errors.ts";
import type { ChatMessage } from "../../model/chat-template.ts";
import { converse } from "../chat/converse.ts";
import { type ChatSession, readChatSession } from "../chat/session-file.ts";
import { defineCommand } from "../command.ts";
import { decodeDocument, decodeOptions, decodingOptions } from "../options/decoding-options.ts";
import { executionOptions, openToRun } from "../options/execution-options.ts";
import { samplerOptions, samplingOptions } from "../options/sampling-options.ts";
import { scheduleOption, withSchedule } from "../options/schedule-use.ts";
import { turnEndTokens } from "../options/turn-end.ts";
import { exitMarks } from "../text/exit-marks.ts";

/** `layerwise chat`: a conversation, line by line; its KV cache is kept between turns. */
export const chatCommand = defineCommand({
  command: "chat <model>",
  describe: "Talk with an artifact or a checkpoint; /help lists what can be asked",
  examples: [
    ["chat outputs/smollm2/artifact", "a conversation; Ctrl-C stops an answer"],
    ["chat outputs/smollm2/artifact --system 'Answer in one sentence.' < questions.txt", "each line is a turn"],
    ["chat outputs/smollm2/artifact --session lakes.json", "go on with the conversation in a file, and keep it there"],
  ],
  onDevice: true,
  repeatable: ["stop"],
  options: (yargs) =>
    scheduleOption(
      executionOptions(
        decodingOptions(
          samplingOptions(
            yargs.positional("model", {
              type: "string",
              demandOption: true,
              describe: "Artifact, run folder or checkpoint",
            }),
          ),
        ),
      ),
    )
      .option("system", { type: "string", describe: "System message" })
      .option("session", {
        type: "string",
        describe: "File that the conversation is read from, where there is one, and kept in after each turn",
      })
      .option("raw", { type: "boolean", describe: "No chat template: the model continues the plain text" })
      .option("verbose", {
        type: "boolean",
        describe: "Speeds and counts of each turn on standard error",
      })
      .conflicts("system", "raw"),
  async run(args, terminal) {
    const { Conversation } = await import("../../decoding/chat.ts");
    const sessionFile = args.session ?? null;
    const kept = sessionFile === null ? null : await readChatSession(sessionFile);
    const system = systemOf(args, kept);
    const scheduled = await withSchedule(args.model, args, terminal);
    if (args.verbose && scheduled.taken !== null) terminal.note(scheduled.taken);
    const model = await openToRun(args.model, scheduled.args, terminal);
    const session = model.createSession();
    try {
      const render = await renderer(model, { raw: args.raw, system });
      const conversation = new Conversation(session, model.tokenizer, render, kept?.messages);
      const sampler = samplerOptions(args);
      const decode = await decodeOptions(model, scheduled.args, sampler);
      const marks = exitMarks(args.showExits, { decode, blocks: model.executor.spec.blocks.length, terminal });
      const verbose = args.verbose ? model : null;
      const turns = await converse(
        { conversation, terminal, marks, verbose, system, sessionFile },
        {
          maxTokens: args.maxTokens ?? null,
          sampler,
          decode,
          stop: args.stop,
          endTokens: args.raw ? [] : await turnEndTokens(model, terminal),
          onProgress: terminal.onProgress,
        },
      );
      const { kvType, contextTokens } = session;
      terminal.document({
        model: model.folder,
        kind: model.kind,
        adapter: model.adapter,
        turns,
        decode: decodeDocument(decode),
        contextTokens,
        kvType,
        executor: model.executor.info,
      });
      if (terminal.signal.aborted) throw new Interrupted("stopped");
    } finally {
      session.close();
      await model.close();
    }
  },
});

/** The system message: the option's, or the kept session's. UserError where both are there and differ. */
function systemOf(
  args: { system?: string | undefined; session?: string | undefined; raw?: boolean | undefined },
  kept: ChatSession | null,
): string | null {
  const given = args.system ?? null;
  if (args.raw && kept?.system) {
    throw new UserError(
      "CHAT_SYSTEM",
      `${args.session}: system: expected none with --raw, found ${JSON.stringify(kept.system)}`,
      "leave --raw out, or name another --session file",
    );
  }
  if (kept === null || given === null || given === kept.system) return given ?? kept?.system ?? null;
  throw new UserError(
    "CHAT_SYSTEM",
    `${args.session}: system: expected ${JSON.stringify(given)} (--system), found ${JSON.stringify(kept.system)}`,
    "leave --system out, or name another --session file",
  );
}

async function renderer(
  model: OpenModel,
  { raw, system }: { raw: boolean | undefined; system: string | null },
): Promise<(messages: readonly ChatMessage[]) => RenderedConversation> {
  if (raw) return (messages) => ({ text: plainText(messages), specialTokens: true });
  if (model.tokenizer.chatTemplate === null) {
    throw new UserError(
      "CHAT_TEMPLATE",
      `${model.folder}: the tokenizer has no chat template`,
      "use --raw for plain text",
    );
  }
  const { applyChatTemplate } = await import("../../model/chat-template.ts");
  const first: ChatMessage[] = system === null ? [] : [{ role: "system", content: system }];
  return (messages) => ({
    text: applyChatTemplate(model.tokenizer, [...first, ...messages], { addGenerationPrompt: true }),
    specialTokens: false,
  });
}

/** Every turn on a line of its own, each answer right behind its turn. */
function plainText(messages: readonly ChatMessage[]): string {
  return messages.map(({ role, content }, i) => (i > 0 && role === "user" ? `\n${content}` : content)).join("");
}
