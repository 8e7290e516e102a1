import { readFileSync } from "node:fs";
import { chooseDecode, type DecodeRequest } from "../../src/decoding/choose-decode.ts";
import { generate } from "../../src/decoding/generate.ts";
import { type OpenModel, openModel } from "../../src/decoding/open-model.ts";
import { applyChatTemplate } from "../../src/model/chat-template.ts";
import type { Dictionary } from "./mutate-tree.ts";
import type { Check } from "./run-check.ts";
import { keysOf, type Tree, treeOf } from "./tree.ts";

/** Finds added tokens, numbers, spaces, what no vocabulary has, and runs that bad patterns go back in. */
const PROMPT = "Once upon a time <s> 12 345, é 🙂  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! [INST]\n";

/** What `layerwise run` does with a model, but for the collection of garbage that would take most of the time. */
export const runOf = (model: string, request: DecodeRequest = {}): Check => ({
  name: `one token of ${model} (${request.kind ?? "plain"})`,
  run: () => withModel(model, async (open) => answer(open, open.tokenizer.encode(PROMPT), request)),
});

/** The same with the prompt as a message. */
export const chatOf = (model: string): Check => ({
  name: `one token of ${model} by its chat template`,
  run: () =>
    withModel(model, async (open) => {
      const text = applyChatTemplate(open.tokenizer, [{ role: "user", content: PROMPT }], {
        addGenerationPrompt: true,
      });
      return answer(open, open.tokenizer.encode(text, { specialTokens: false }), {});
    }),
});

async function withModel(model: string, use: (open: OpenModel) => Promise<void>): Promise<void> {
  const open = await openModel(model, { threads: 1 });
  await use(open).finally(() => open.close());
}

async function answer(open: OpenModel, ids: Int32Array, request: DecodeRequest): Promise<void> {
  const decode = await chooseDecode(open, request);
  const session = open.createSession();
  const pieces = generate(session, open.tokenizer, ids, { maxTokens: 1, decode });
  try {
    for await (const _ of pieces);
  } finally {
    session.close();
  }
}

/** What there is to be said of a model. */
export const inspectOf = (target: string): Check => ["inspect", target, "--threads", "1", "--json"];

/** A JSON file that is whole. */
export const json = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));

/** Names of fields and parts of documents, for changes of such. */
export const dictionaryOf = (documents: readonly unknown[], parts: readonly Tree[] = []): Dictionary => ({
  keys: keysOf(documents.map(treeOf)),
  parts,
});
