import type { PrunedSlices } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { BlockForm, BlockForms } from "../planning/problem/block-forms.ts";
import { keptCounts } from "../pruning/counts.ts";
import { cutSpec } from "../pruning/cut.ts";
import { PRUNING_KINDS } from "../pruning/index.ts";
import { plannedCuts } from "../pruning/planned-cuts.ts";
import { kindsOf, type PruneSettings } from "./prune-settings.ts";
import type { Sensitivity } from "./steps/sensitivity.ts";

/** What each block may lose by a plan, with the loss that was measured for it. */
export function measuredForms(spec: DecoderSpec, { tries, blocks }: Sensitivity): BlockForms {
  return spec.blocks.map((_, block) => [
    whole(spec, block),
    ...tries.flatMap(({ kind }, i) => {
      const { kept: counts = [], kl } = blocks[block][i] ?? {};
      // Shares that leave the same number of slices are one form.
      return [...new Set(counts)].flatMap((kept) =>
        formOf(spec, block, { kind, kept, loss: kl?.[counts.indexOf(kept)] }),
      );
    }),
  ]);
}

/** The same before anything is measured, as if nothing cost anything: what no plan has fewer bytes than. */
export function offeredForms(spec: DecoderSpec, settings: PruneSettings): BlockForms {
  return spec.blocks.map((shape, block) => [
    whole(spec, block),
    ...kindsOf(settings).flatMap((kind) => {
      const { slicesOf, ratios } = PRUNING_KINDS[kind];
      const count = slicesOf(shape);
      const kept = new Set(count ? ratios.map((ratio) => keptCounts([count], [ratio])[0]) : []);
      return [...kept].flatMap((one) => formOf(spec, block, { kind, kept: one, loss: 0 }));
    }),
  ]);
}

/** What a plan takes of each block. */
export function cutsOfPlan({ pruning }: Plan): (PrunedSlices | null)[] {
  if (!pruning) throw new Error("the plan could leave nothing out");
  return pruning.cuts.map((cut) => cut && { kind: cut.kind, kept: cut.kept, slices: cut.slices });
}

function whole({ blocks }: DecoderSpec, block: number): BlockForm {
  return { block: blocks[block], cut: null };
}

/** A block that keeps fewer of its slices than all; nothing where it keeps all, or nothing was measured. */
function formOf(
  spec: DecoderSpec,
  block: number,
  {
    kind,
    kept,
    loss,
  }: { readonly kind: keyof typeof PRUNING_KINDS; readonly kept: number; readonly loss?: number | undefined },
): BlockForm[] {
  const slices = PRUNING_KINDS[kind].slicesOf(spec.blocks[block])?.slices ?? 0;
  if (kept >= slices || loss === undefined) return [];
  const prunings = spec.blocks.map((_, i) => (i === block ? { kind: PRUNING_KINDS[kind], kept } : null));
  const cut = cutSpec(spec, plannedCuts(spec, prunings)).blocks[block];
  return [{ block: cut, cut: { kind, kept, slices, loss: Math.max(0, loss) } }];
}
