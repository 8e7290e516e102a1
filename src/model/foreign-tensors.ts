import { UserError } from "../errors.ts";
import { showName } from "../formats/safetensors/index.ts";

/** Tensors that tools store beside or instead of plain weights, by the end of their names. */
const QUANTIZED: readonly (readonly [name: RegExp, by: string])[] = [
  [/\.(qweight|qzeros|g_idx)$/, "GPTQ or AWQ"],
  [/\.(SCB|weight_format)$|\.(nested_)?(absmax|quant_map)$|\.quant_state\./, "bitsandbytes"],
  [/\.weight_(packed|shape|zero_point|global_scale|g_idx)$/, "compressed-tensors"],
  [
    /\.(weight_scale(_inv|_2)?|weight_scales|scale_weight|(weight\.)?scale(_inv)?|input_scale|output_scale)$/,
    "FP8 or INT8 with scales",
  ],
  [/[._:]_?weight[:_](qdata|scale|zero_point)$/, "torchao"],
  [/\.(W_q|W_nbits)$/, "HQQ"],
  [/\.weight\._(data|scale|shift)$/, "quanto"],
  [/\.(codes|codebooks|Qidxs(_[0-9]+)?|trellis|q_scale|q_invperm|q_groups)$/, "AQLM, QuIP# or EXL"],
  [/_(blocks|scales)$/, "MXFP4"],
  [/\.(scales|biases)$/, "MLX"],
];

/** Tensors of adapters that were not merged: LoRA and DoRA, IA3, LoHa, LoKr, OFT, VeRA, and what PEFT wraps. */
const ADAPTER =
  /(^|\.)(lora_(A|B|down|up|embedding_A|embedding_B|magnitude_vector)|ia3_l|hada_w\d_[ab]|lokr_w\d(_[ab])?|oft_[rR]|vera_lambda_[bd]|base_layer|modules_to_save|original_module)(\.|$)/;

/** The error for weights that somebody has quantized before. */
export function alreadyQuantized(what: string): UserError {
  return new UserError("ALREADY_QUANTIZED", what, "start from the original checkpoint in f32, f16 or bf16");
}

/**
 * Refuses tensors that say that the others are no plain weights: UserError `ALREADY_QUANTIZED` for those of a quantizer
 * (also where config.json says nothing of it), `ADAPTER` for those of an adapter that was not merged.
 */
export function refuseForeignTensors(names: Iterable<string>, label: string): void {
  for (const name of names) {
    const by = QUANTIZED.find(([pattern]) => pattern.test(name))?.[1];
    if (by !== undefined) {
      const what = `${label}: expected plain weights, found tensor ${showName(name)} of a quantized checkpoint (${by})`;
      throw alreadyQuantized(what);
    }
    if (ADAPTER.test(name)) {
      const what = `${label}: expected a whole model, found tensor ${showName(name)} of an adapter that was not merged`;
      const hint = "merge the adapter into its base model first (PEFT: merge_and_unload), and save that";
      throw new UserError("ADAPTER", what, hint);
    }
  }
}
