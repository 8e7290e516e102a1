import type { Generation } from "../../decoding/generate.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import { Interrupted, UserError } from "../../errors.ts";
import { decodeText } from "../../formats/files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { shortBytes } from "../../size-text.ts";
import { defineCommand } from "../command.ts";
import { decodeDocument, decodeOptions, decodingOptions } from "../options/decoding-options.ts";
import { executionOptions, openToRun } from "../options/execution-options.ts";
import { samplerOptions, samplingOptions } from "../options/sampling-options.ts";
import { scheduleOption, withSchedule } from "../options/schedule-use.ts";
import { turnEndTokens } from "../options/turn-end.ts";
import { exitMarks } from "../text/exit-marks.ts";
import { generationStatistics, statisticsLines } from "../text/generation-statistics.ts";

/** More than any context holds. */
const MAX_PROMPT_BYTES = 64 * 2 ** 20;

/** `layerwise run`: generated text, and nothing else, on standard output. */
export const runCommand = defineCommand({
  command: "run <model> <prompt>",
  describe: "Continue a prompt with an artifact or a checkpoint",
  examples: [
    ["run outputs/smollm2/artifact 'Once upon a time' --max-tokens 64", "the most likely text"],
    [
      "run outputs/smollm2/artifact 'What is a lake?' --chat --temperature 0.7 --top-p 0.9 --seed 1",
      "an answer, drawn",
    ],
    ["run outputs/smollm2/artifact - --max-tokens 64 < prompt.txt", "the prompt from standard input"],
    [
      "run outputs/smollm2/artifact 'A lake is' --decode early-exit --epsilon 0.9 --show-exits",
      "tokens from early exits, coloured by their depth",
    ],
  ],
  onDevice: true,
  repeatable: ["stop"],
  options: (yargs) =>
    scheduleOption(
      executionOptions(
        decodingOptions(
          samplingOptions(
            yargs
              .positional("model", {
                type: "string",
                demandOption: true,
                describe: "Artifact, run folder or checkpoint",
              })
              .positional("prompt", {
                type: "string",
                demandOption: true,
                describe: "Text to continue; - reads standard input",
              }),
          ),
        ),
      ),
    )
      .option("chat", { type: "boolean", describe: "The prompt is a message: apply the chat template" })
      .option("system", { type: "string", describe: "System message, with --chat" })
      .option("raw", { type: "boolean", describe: "Add no special tokens, such as BOS, to the prompt" })
      .option("verbose", { type: "boolean", describe: "Speeds and counts on standard error" })
      .conflicts("chat", "raw")
      .implies("system", "chat"),
  async run(args, terminal) {
    const prompt = args.prompt === "-" ? await readPrompt() : args.prompt;
    const { generate } = await import("../../decoding/generate.ts");
    const scheduled = await withSchedule(args.model, args, terminal);
    const model = await openToRun(args.model, scheduled.args, terminal);
    const session = model.createSession();
    try {
      const sampler = samplerOptions(args);
      const decode = await decodeOptions(model, scheduled.args, sampler);
      const marks = exitMarks(args.showExits, { decode, blocks: model.executor.spec.blocks.length, terminal });
      const ids = await encodePrompt(model, prompt, args);
      if (!args.chat && !args.raw && beginsTwice(model.tokenizer, ids)) {
        terminal.note(
          "layerwise: the prompt spells what the tokenizer puts before every text, so it begins twice (--raw)",
        );
      }
      const pieces = generate(session, model.tokenizer, ids, {
        maxTokens: args.maxTokens ?? null,
        sampler,
        decode,
        stop: args.stop,
        endTokens: args.chat ? await turnEndTokens(model, terminal) : [],
        signal: terminal.signal,
        onProgress: terminal.onProgress,
      });
      let step = await pieces.next();
      for (; !step.done; step = await pieces.next()) {
        if (!terminal.json) terminal.write(marks ? marks.text(step.value) : step.value.text);
      }
      const generation: Generation = step.value;
      if (!terminal.json && process.stdout.isTTY) terminal.write("\n");
      const statistics = generationStatistics(generation);
      if (args.verbose && scheduled.taken !== null) terminal.note(scheduled.taken);
      if (args.verbose) for (const line of statisticsLines(statistics, model.executor.info)) terminal.note(line);
      else terminal.note(`layerwise: ended by ${endingText(generation)} after ${generation.ids.length} tokens`);
      if (marks) terminal.note(marks.legend(generation.depths));
      terminal.document({
        model: model.folder,
        kind: model.kind,
        adapter: model.adapter,
        prompt,
        text: generation.text,
        ids: generation.ids,
        depths: generation.depths,
        reason: generation.reason,
        stop: generation.stop,
        statistics,
        sampler,
        decode: decodeDocument(decode),
        contextTokens: model.contextTokens,
        kvType: session.kvType,
        executor: model.executor.info,
      });
      if (generation.reason === "aborted") throw new Interrupted("stopped");
    } finally {
      session.close();
      await model.close();
    }
  },
});

/** Standard input, less one line end. Throws UserError FILE_TOO_LARGE where it has no end. */
async function readPrompt(): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MAX_PROMPT_BYTES) {
      throw new UserError(
        "FILE_TOO_LARGE",
        `standard input: expected at most ${shortBytes(MAX_PROMPT_BYTES)}, found more`,
      );
    }
  }
  return decodeText(Buffer.concat(pieces), "standard input").replace(/\r?\n$/, "");
}

async function encodePrompt(
  model: OpenModel,
  prompt: string,
  args: { chat: boolean | undefined; raw: boolean | undefined; system: string | undefined },
): Promise<Int32Array> {
  if (!args.chat) return model.tokenizer.encode(prompt, { specialTokens: !args.raw });
  const { applyChatTemplate } = await import("../../model/chat-template.ts");
  const system = args.system === undefined ? [] : [{ role: "system", content: args.system }];
  const messages = [...system, { role: "user", content: prompt }];
  const rendered = applyChatTemplate(model.tokenizer, messages, { addGenerationPrompt: true });
  return model.tokenizer.encode(rendered, { specialTokens: false });
}

/** A prompt copied with its `<s>`: transformers gives the model two as well, which no training text had. */
function beginsTwice({ beginning }: Tokenizer, ids: Int32Array): boolean {
  return beginning.length > 0 && beginning.every((id, i) => ids[beginning.length + i] === id);
}

function endingText({ reason, stop }: Generation): string {
  const texts = {
    eos: "an end token",
    stop: `the stop string ${JSON.stringify(stop)}`,
    length: "--max-tokens",
    context: "the end of the context",
    aborted: "a signal",
  };
  return texts[reason];
}
