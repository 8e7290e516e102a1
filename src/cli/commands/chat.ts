import readline from "node:readline";
import type { Conversation, RenderedConversation } from "../../decoding/chat.ts";
import type { GenerateOptions, Generation } from "../../decoding/generate.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import { Interrupted, UserError } from "../../errors.ts";
import type { ChatMessage } from "../../model/chat-template.ts";
import { defineCommand } from "../command.ts";
import { decodeDocument, decodeOptions, decodingOptions } from "../options/decoding-options.ts";
import { executionOptions, openToRun } from "../options/execution-options.ts";
import { samplerOptions, samplingOptions } from "../options/sampling-options.ts";
import { turnEndTokens } from "../options/turn-end.ts";
import type { Terminal } from "../terminal.ts";
import { type ExitMarks, exitMarks } from "../text/exit-marks.ts";
import { generationStatistics, statisticsLines } from "../text/generation-statistics.ts";

/** `layerwise chat`: a conversation, line by line; its KV cache is kept between turns. */
export const chatCommand = defineCommand({
  command: "chat <model>",
  describe: "Talk with an artifact or a checkpoint; /reset forgets, /quit ends",
  examples: [
    ["chat outputs/smollm2/artifact", "a conversation; Ctrl-C stops an answer"],
    ["chat outputs/smollm2/artifact --system 'Answer in one sentence.' < questions.txt", "each line is a turn"],
  ],
  onDevice: true,
  repeatable: ["stop"],
  options: (yargs) =>
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
    )
      .option("system", { type: "string", describe: "System message" })
      .option("raw", { type: "boolean", describe: "No chat template: the model continues the plain text" })
      .option("verbose", {
        type: "boolean",
        describe: "Speeds and counts of each turn on standard error",
      })
      .conflicts("system", "raw"),
  async run(args, terminal) {
    const { Conversation } = await import("../../decoding/chat.ts");
    const model = await openToRun(args.model, args, terminal);
    const session = model.createSession();
    try {
      const render = await renderer(model, args);
      const conversation = new Conversation(session, model.tokenizer, render);
      const sampler = samplerOptions(args);
      const decode = await decodeOptions(model, args, sampler);
      const marks = exitMarks(args.showExits, { decode, blocks: model.executor.spec.blocks.length, terminal });
      const shown = { marks, verbose: args.verbose ? model : null };
      const turns = await converse(conversation, shown, terminal, {
        maxTokens: args.maxTokens ?? null,
        sampler,
        decode,
        stop: args.stop,
        endTokens: args.raw ? [] : await turnEndTokens(model, terminal),
        onProgress: terminal.onProgress,
      });
      const { kvType, contextTokens } = session;
      terminal.document({
        model: model.folder,
        kind: model.kind,
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

interface Turn {
  readonly user: string;
  readonly text: string;
  /** Of each token: blocks that ran before it was proposed. */
  readonly depths: readonly number[];
  readonly reason: Generation["reason"];
  readonly statistics: ReturnType<typeof generationStatistics>;
}

/** What is shown besides the text. */
interface Shown {
  readonly marks: ExitMarks | null;
  /** The model whose speeds are shown. */
  readonly verbose: OpenModel | null;
}

/** Reads lines until /quit, the end of input or a signal. */
async function converse(
  conversation: Conversation,
  { marks, verbose }: Shown,
  terminal: Terminal,
  options: GenerateOptions,
): Promise<Turn[]> {
  const interactive = Boolean(process.stdin.isTTY) && !terminal.json;
  const lines = readline.createInterface({ input: process.stdin, output: interactive ? process.stderr : undefined });
  let answering: AbortController | null = null;
  // With a terminal Ctrl-C comes as a key: it stops the answer, or the conversation where there is none.
  lines.on("SIGINT", () => (answering ? answering.abort() : lines.close()));
  terminal.signal.addEventListener("abort", () => lines.close(), { once: true });
  const turns: Turn[] = [];
  if (interactive) lines.prompt();
  for await (const line of lines) {
    const user = line.trim();
    if (user === "/quit") break;
    if (user === "/reset") conversation.reset();
    else if (user !== "") {
      answering = new AbortController();
      const signal = AbortSignal.any([terminal.signal, answering.signal]);
      const answered = answer(conversation, user, { terminal, marks }, { ...options, signal });
      const generation = await (interactive
        ? answered.catch((error: unknown) => noteRefusal(error, terminal))
        : answered);
      answering = null;
      if (generation) {
        const statistics = generationStatistics(generation);
        const { text, depths, reason } = generation;
        turns.push({ user, text, depths, reason, statistics });
        if (marks) terminal.note(marks.legend(depths));
        if (verbose) for (const one of statisticsLines(statistics, verbose.executor.info)) terminal.note(one);
      }
    }
    if (terminal.signal.aborted) break;
    if (interactive) lines.prompt();
  }
  lines.close();
  return turns;
}

/** A turn that cannot be answered (too long for the context) does not end a conversation with a person. */
function noteRefusal(error: unknown, terminal: Terminal): null {
  if (!(error instanceof UserError)) throw error;
  terminal.note(`layerwise: ${error.message} (shorten it, or /reset)`);
  return null;
}

async function answer(
  conversation: Conversation,
  user: string,
  { terminal, marks }: { terminal: Terminal; marks: ExitMarks | null },
  options: GenerateOptions,
): Promise<Generation> {
  const pieces = conversation.say(user, options);
  let step = await pieces.next();
  for (; !step.done; step = await pieces.next()) {
    if (!terminal.json) terminal.write(marks ? marks.text(step.value) : step.value.text);
  }
  if (!terminal.json) terminal.write("\n");
  return step.value;
}

async function renderer(
  model: OpenModel,
  { raw, system }: { raw: boolean | undefined; system: string | undefined },
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
  const first: ChatMessage[] = system === undefined ? [] : [{ role: "system", content: system }];
  return (messages) => ({
    text: applyChatTemplate(model.tokenizer, [...first, ...messages], { addGenerationPrompt: true }),
    specialTokens: false,
  });
}

/** Every turn on a line of its own, each answer right behind its turn. */
function plainText(messages: readonly ChatMessage[]): string {
  return messages.map(({ role, content }, i) => (i > 0 && role === "user" ? `\n${content}` : content)).join("");
}
