import type { OpenModel } from "../../decoding/open-model.ts";
import type { Terminal } from "../terminal.ts";

/** Tokens that end an answer of a chat with this model; a line says where its template names none. */
export async function turnEndTokens(model: OpenModel, terminal: Terminal): Promise<readonly number[]> {
  const { turnEndOf } = await import("../../model/turn-end.ts");
  const { ids, inTemplate } = turnEndOf(model.tokenizer);
  if (!inTemplate) {
    terminal.note(
      "layerwise: the chat template puts no end token behind an answer: --stop or --max-tokens may have to end it",
    );
  }
  return ids;
}
