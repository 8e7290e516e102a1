import { z } from "zod";
import { CODECS, sparseTwin } from "../codecs/index.ts";
import { resolveChoice } from "../planning/problem/codec-choice.ts";
import { MASK_KIND_IDS, MASK_KINDS } from "../pruning/index.ts";

/** A recipe's `prune` of a kind that leaves shapes as they are: another way to name sparse codecs. */
export const MaskSettings = z
  .strictObject({
    kind: z.enum(MASK_KIND_IDS),
    /** Share of the weights that go; absent: the kind's own. */
    ratio: z.number().optional(),
  })
  .superRefine(({ kind, ratio }, context) => {
    const { ratios } = MASK_KINDS[kind];
    if (ratio === undefined || ratios.includes(ratio)) return;
    const message = `expected ${ratios.join(" or ")}, which is what ${kind} has codecs for, found ${ratio}`;
    context.addIssue({ code: "custom", path: ["ratio"], message });
  });
type MaskSettings = z.infer<typeof MaskSettings>;

/** Whether a recipe's `prune` is of such a kind. */
export function isMask(prune: object | undefined): prune is MaskSettings {
  return prune !== undefined && "kind" in prune && MASK_KIND_IDS.some((kind) => kind === prune.kind);
}

/**
 * The codecs of a recipe's blocks with the sparse twin of every integer one; float ones stay, since a mask would save
 * them nothing. Where one has no twin: what is wrong with `codecs[at]`.
 */
export function sparseTwins(
  { kind, ratio }: MaskSettings,
  codecs: readonly string[],
): string[] | { readonly at: number; readonly fault: string } {
  const kept = MASK_KINDS[kind].keptAt(ratio ?? MASK_KINDS[kind].ratios[0]);
  const twins: string[] = [];
  for (const [at, choice] of codecs.entries()) {
    // 16 bits are some float codec, whatever the checkpoint's type.
    const codec = resolveChoice(choice, "F16");
    const twin = CODECS[codec].scheme === "float" ? choice : sparseTwin(codec, kept);
    if (!twin)
      return { at, fault: `expected q3s-g32, q4s-g32 or q8s-g32, which have a twin for ${kind}, found ${choice}` };
    twins.push(twin);
  }
  return twins;
}
