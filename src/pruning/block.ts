import { wholeParts } from "./whole-parts.ts";

/** Whole blocks: their place in the model stays, and does nothing. */
export const block = wholeParts(
  "whole blocks",
  { attention: false, mlp: false },
  ({ attention, mlp }) => attention !== null || mlp !== null,
);
