import { UserError } from "../errors.ts";
import type { DecoderSpec } from "./decoder-spec.ts";

/** Throws UserError CONTEXT_TOO_LONG for a context that the model was not made for. */
export function checkContextLength(spec: Pick<DecoderSpec, "maxPositions" | "blocks">, contextTokens: number): void {
  if (contextTokens <= spec.maxPositions) return;
  const isDynamic = spec.blocks.some(({ attention }) => attention?.rope?.scaling.kind === "dynamic");
  const why = isDynamic ? "dynamic rotary scaling beyond them is not supported: " : "";
  throw new UserError(
    "CONTEXT_TOO_LONG",
    `context: expected at most the model's ${spec.maxPositions} positions, found ${contextTokens}`,
    `${why}ask for a context of ${spec.maxPositions} tokens or fewer`,
  );
}
