/** Limits of what the safetensors reader accepts, with their reasons. Reading allocates no more than these. */

/** Bytes of the length field in front of the header. */
export const LENGTH_BYTES = 8;

/**
 * Largest JSON header: the limit of the reference implementation, so that a lying length cannot make us allocate more.
 */
export const MAX_HEADER_BYTES = 100_000_000;

/**
 * Deepest nesting in the header: what the reference's JSON parser allows. Only unknown fields of an entry go deeper
 * than 3.
 */
export const MAX_JSON_DEPTH = 127;

/** Most values in the header, of some 200 bytes each: 100,000 tensors in one file. */
export const MAX_HEADER_VALUES = 2 ** 20;

/** Largest dimension, offset and element count: 2^53 - 1, beyond which a JavaScript number is no longer exact. */
export const MAX_COUNT = Number.MAX_SAFE_INTEGER;

/** Bytes read at a time when values are converted: large enough for full disk speed, small beside one block. */
export const MAX_READ_BYTES = 16 * 1024 * 1024;

/** Characters of a name that a message shows: names may be as long as the header. */
export const MAX_SHOWN_NAME = 120;
