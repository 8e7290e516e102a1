import { wholeParts } from "./whole-parts.ts";

/** The attention of a block: its MLP stays. */
export const attention = wholeParts("attentions", { attention: false }, (block) => block.attention !== null);
