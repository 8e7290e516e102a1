import { z } from "zod";
import { UserError } from "../errors.ts";
import { parseWith } from "../formats/files.ts";
import { showName } from "../formats/safetensors/index.ts";
import { tokenId } from "./added-tokens.ts";
import { MAX_NESTED, unsupportedPart } from "./tokenizer-parts.ts";

const item = z.union([
  z.object({ SpecialToken: z.object({ id: z.string() }) }),
  z.object({ Sequence: z.object({ id: z.literal("A") }) }),
]);
const Template = z.looseObject({
  single: z.array(item),
  special_tokens: z.record(z.string(), z.looseObject({ ids: z.array(tokenId) })),
});
const Bert = z.looseObject({ cls: z.tuple([z.string(), tokenId]), sep: z.tuple([z.string(), tokenId]) });

/**
 * Ids that the `post_processor` of a `tokenizer.json` puts before a text. What it puts behind one is left out: a text
 * that is to be continued does not end. Throws UserError where the post-processor makes no sense or is of an unknown
 * kind; `file` is for messages.
 */
export function templateBeginning(postProcessor: unknown, file: string): number[] {
  return beginningOf(postProcessor, `${file}: post_processor`, 0);
}

function beginningOf(processor: unknown, where: string, nested: number): number[] {
  if (processor === null || processor === undefined) return [];
  const { type } = parseWith(z.looseObject({ type: z.string() }), processor, where);
  if (type === "ByteLevel") return [];
  if (type === "BertProcessing" || type === "RobertaProcessing") return [parseWith(Bert, processor, where).cls[1]];
  if (type === "TemplateProcessing") return ofTemplate(parseWith(Template, processor, where), where);
  if (type !== "Sequence" || nested === MAX_NESTED) {
    const known = "ByteLevel, BertProcessing, RobertaProcessing, TemplateProcessing or a Sequence of them";
    const found = nested === MAX_NESTED ? "sequences too deep in one another" : showName(type);
    throw unsupportedPart(where, known, found);
  }
  const { processors } = parseWith(z.looseObject({ processors: z.array(z.unknown()) }), processor, where);
  // Each works on what the one before it made, so the last one's ids come first.
  return processors
    .map((inner, i) => beginningOf(inner, `${where}.processors.${i}`, nested + 1))
    .reverse()
    .flat();
}

function ofTemplate({ single, special_tokens }: z.infer<typeof Template>, where: string): number[] {
  const refuse = (what: string, expected: string, found: string) =>
    new UserError("TOKENIZER", `${where}.${what}: expected ${expected}, found ${found}`);
  const texts = single.filter((part) => "Sequence" in part).length;
  if (texts !== 1) throw refuse("single", "the text ($A) once", `it ${texts} times`);
  const ids = single.map((part) => {
    if ("Sequence" in part) return null;
    const { id } = part.SpecialToken;
    if (Object.hasOwn(special_tokens, id)) return special_tokens[id].ids;
    throw refuse("special_tokens", `${showName(id)}, which single names`, "no such token");
  });
  return ids.slice(0, ids.indexOf(null)).flatMap((before) => before ?? []);
}
