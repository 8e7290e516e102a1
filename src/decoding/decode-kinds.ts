/** Ways to compute tokens. */
export const DECODE_KINDS = ["plain", "early-exit", "dssd"] as const;
export type DecodeKind = (typeof DECODE_KINDS)[number];
