import { z } from "zod";
import { UserError } from "../../errors.ts";
import type { CodecLists } from "../scorer.ts";
import { KlOptions } from "./options.ts";

const ProbeOptions = z.object({
  probes: KlOptions.shape.probes,
  embeddingProbes: KlOptions.shape.embeddingProbes,
});

/**
 * Refuses probes that a library will not have, before anything that takes long. Throws UserError `SCORER_OPTIONS`.
 */
export function checkProbes(options: unknown, { codecs, embeddingCodecs }: CodecLists): void {
  const asked = ProbeOptions.safeParse(options).data;
  const lists = [
    ["probes", "codecs", asked?.probes, codecs],
    ["embeddingProbes", "embeddingCodecs", asked?.embeddingProbes, embeddingCodecs],
  ] as const;
  for (const [option, field, probes, known] of lists) {
    const unknown = probes?.find((probe) => !known.includes(probe));
    if (unknown === undefined) continue;
    throw new UserError(
      "SCORER_OPTIONS",
      `score.options.${option}: expected codecs that the plan may use (${known.join(", ")}), found ${unknown}`,
      `measure at one of these, or add it to plan.${field}`,
    );
  }
}
