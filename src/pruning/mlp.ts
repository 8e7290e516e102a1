import { wholeParts } from "./whole-parts.ts";

/** The MLP of a block: its attention stays. */
export const mlp = wholeParts("MLPs", { mlp: false }, (block) => block.mlp !== null);
