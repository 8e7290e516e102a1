import type { ConfigReader } from "../config-reader.ts";
import type { DecoderSpec } from "../decoder-spec.ts";
import type { TensorNames } from "./tensor-names.ts";

/** One family of models: how its `config.json` reads and how its tensors are called. */
export interface Family {
  /** Names in the config's `architectures` that have this output head. */
  readonly classes: readonly string[];
  /** Throws a UserError for a value that is impossible or not supported. */
  describe(config: ConfigReader): DecoderSpec;
  /** How the tensors of such a model are called; of one that was cut (pruning) those that it would have. */
  names(spec: DecoderSpec): TensorNames;
  /**
   * Fields that change the maths and that this family reads, among those that no other does (unsupported-fields.ts).
   */
  readonly reads?: readonly string[];
  /** Tensor names that may be present and mean nothing. */
  readonly ignored: readonly RegExp[];
}
