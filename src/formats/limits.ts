/** Limits of what the readers of text formats accept, with their reasons: what goes beyond is refused by name. */

/**
 * Deepest nesting of JSON and YAML: real configs, manifests and tokenizers have less than 12 levels, and what walks a
 * value level by level must not run out of stack.
 */
export const MAX_NESTING = 100;

/**
 * Most values in one JSON text: four times those of the largest tokenizer known (262,144 tokens, 514,906 merges). A
 * value of two characters (`[]`) takes 32 bytes, so that the file's size alone says little of what it becomes.
 */
export const MAX_JSON_VALUES = 2 ** 23;

/**
 * Most values of a JSON document that a schema checks: a manifest of 50,000 tensors. A list of as many wrong items is a
 * fault each to the schema, of some 600 bytes.
 */
export const MAX_DOCUMENT_VALUES = 2 ** 19;

/** Most nodes of a YAML document: those are written by hand, and the library compares every key with every other. */
export const MAX_YAML_NODES = 10_000;

/** Most tokens of it, marks and spaces too: they are counted before the document is built. */
export const MAX_YAML_TOKENS = 8 * MAX_YAML_NODES;

/** Longest number: an f64 needs 24 characters, 20 digits hold any u64. */
export const MAX_NUMBER_CHARACTERS = 1_000;
