import { sourcesOfSpec } from "../architectures/index.ts";
import { type DecoderSpec, matricesOf } from "../decoder-spec.ts";
import type { BlockRole } from "../matrix-id.ts";

/** A linear layer of the model as PEFT sees it: a tensor of the checkpoint, of one matrix or fused of several. */
export interface Module {
  /** Its path in the whole model: the tensor's name without `.weight`. */
  readonly path: string;
  readonly block: number;
  /** Of the tensor. */
  readonly rows: number;
  readonly cols: number;
  /** In execution order. */
  readonly matrices: readonly ModuleMatrix[];
}

/** A matrix of a module. */
export interface ModuleMatrix {
  readonly role: BlockRole;
  readonly rows: number;
  /** Which rows [from, to) of the tensor it is, in order; null: all. */
  readonly ranges: readonly (readonly [number, number])[] | null;
}

/**
 * The linear layers of a model's blocks, in execution order, by their paths as the whole model is saved, and as its
 * bare decoder is. Throws UserError where the family is unknown.
 */
export function modulesOf(spec: DecoderSpec, label: string): ReadonlyMap<string, Module> {
  const sources = sourcesOfSpec(spec, label);
  const found = new Map<string, Module & { readonly matrices: ModuleMatrix[] }>();
  for (const { id, role, block, rows, cols } of matricesOf(spec)) {
    const source = sources.get(id);
    if (block === null || role === "embedding" || role === "head" || !source) continue;
    const names = source.names.map((name) => name.replace(/\.weight$/, ""));
    const [path] = names;
    const module = found.get(path) ?? { path, block, rows: source.shape[0], cols, matrices: [] };
    module.matrices.push({ role, rows, ranges: source.rowRanges });
    for (const name of names) found.set(name, module);
  }
  return found;
}
