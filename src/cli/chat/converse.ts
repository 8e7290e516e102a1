import type { Conversation, TurnOptions } from "../../decoding/chat.ts";
import type { Generation } from "../../decoding/generate.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import { UserError } from "../../errors.ts";
import { noteMistake } from "../failure.ts";
import type { Terminal } from "../terminal.ts";
import type { ExitMarks } from "../text/exit-marks.ts";
import { generationStatistics, statisticsLines } from "../text/generation-statistics.ts";
import { type ChatCommand, chatCommandOf, chatHelp } from "./chat-commands.ts";
import { writeChatSession } from "./session-file.ts";
import { TurnReader } from "./turn-reader.ts";

/** One turn and its answer, as `--json` gives it. */
export interface Turn {
  readonly user: string;
  readonly text: string;
  /** Of each token: blocks that ran before it was proposed. */
  readonly depths: readonly number[];
  readonly reason: Generation["reason"];
  /** Older turns that were forgotten before this one, for room in the context. */
  readonly forgotten: number;
  readonly statistics: ReturnType<typeof generationStatistics>;
}

/** A conversation, and how it is shown and kept. */
export interface Talk {
  readonly conversation: Conversation;
  readonly terminal: Terminal;
  readonly marks: ExitMarks | null;
  /** The model whose speeds are shown. */
  readonly verbose: OpenModel | null;
  readonly system: string | null;
  /** Where the conversation is kept after each turn, or null. */
  readonly sessionFile: string | null;
}

/** Takes turns and commands until /quit, the end of input or a signal. */
export async function converse(talk: Talk, options: TurnOptions): Promise<Turn[]> {
  const { terminal } = talk;
  const interactive = Boolean(process.stdin.isTTY) && !terminal.json;
  let answering: AbortController | null = null;
  const reader = new TurnReader({
    input: process.stdin,
    screen: interactive ? process.stderr : null,
    onInterrupt: () => {
      answering?.abort();
      return answering !== null;
    },
  });
  const onAbort = () => reader.close();
  terminal.signal.addEventListener("abort", onAbort, { once: true });
  const turns: Turn[] = [];
  reader.prompt();
  try {
    for await (const line of reader) {
      try {
        const command = chatCommandOf(line);
        if (command?.name === "quit") break;
        if (command) await obey(command, talk);
        else if (line.trim() !== "") {
          answering = new AbortController();
          const signal = AbortSignal.any([terminal.signal, answering.signal]);
          turns.push(await takeTurn(line.trim(), talk, { ...options, signal }));
        }
      } catch (error) {
        // A command or a turn that cannot be does not end a conversation with a person.
        if (!interactive || !(error instanceof UserError)) throw error;
        noteMistake({ message: error.message, hint: hintFor(error) }, terminal);
      } finally {
        answering = null;
      }
      if (terminal.signal.aborted) break;
      reader.prompt();
    }
  } finally {
    terminal.signal.removeEventListener("abort", onAbort);
    reader.close();
  }
  return turns;
}

/** An artifact is not made anew in the middle of a conversation. */
function hintFor(error: UserError): string | undefined {
  return error.code === "CONTEXT" ? "shorten it, or /reset" : error.hint;
}

async function obey(command: ChatCommand, { conversation, terminal, system, sessionFile }: Talk): Promise<void> {
  if (command.name === "help") for (const line of chatHelp()) terminal.note(line);
  else if (command.name === "reset") {
    conversation.reset();
    if (sessionFile !== null) await writeChatSession(sessionFile, { system, messages: [] });
  } else if (command.name === "save") {
    const file = command.file || sessionFile || "";
    await writeChatSession(file, { system, messages: conversation.history });
    terminal.note(`layerwise: ${conversation.history.length / 2} turns saved in ${file}`);
  }
}

async function takeTurn(user: string, talk: Talk, options: TurnOptions): Promise<Turn> {
  const { conversation, terminal, marks, verbose, system, sessionFile } = talk;
  let forgotten = 0;
  const onForget = (turns: number) => {
    forgotten = turns;
    const what = turns === 1 ? "the oldest turn is" : `the ${turns} oldest turns are`;
    terminal.note(
      `layerwise: the context is full: ${what} forgotten${system === null ? "" : ", the system message stays"}`,
    );
  };
  const pieces = conversation.say(user, { ...options, onForget });
  let step = await pieces.next();
  for (; !step.done; step = await pieces.next()) {
    if (!terminal.json) terminal.write(marks ? marks.text(step.value) : step.value.text);
  }
  if (!terminal.json) terminal.write("\n");
  const { text, depths, reason } = step.value;
  if (reason === "context") terminal.note("layerwise: the answer ends here: the context is full");
  const statistics = generationStatistics(step.value);
  if (marks) terminal.note(marks.legend(depths));
  if (verbose) for (const one of statisticsLines(statistics, verbose.executor.info)) terminal.note(one);
  if (sessionFile !== null) await writeChatSession(sessionFile, { system, messages: conversation.history });
  return { user, text, depths, reason, forgotten, statistics };
}
