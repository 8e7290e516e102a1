import { UserError } from "../errors.ts";

/**
 * Deepest nesting of a JSON file that is read: real configs, manifests and tokenizers have less than 12 levels, and
 * what walks a value level by level must not run out of stack.
 */
export const MAX_JSON_NESTING = 100;

const [QUOTE, BACKSLASH, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [...'"\\[]{}'].map((letter) =>
  letter.charCodeAt(0),
);

/** Throws UserError `JSON_NESTING` where JSON text (UTF-8, unparsed) goes deeper than {@link MAX_JSON_NESTING}. */
export function checkNesting(bytes: Uint8Array, label: string): void {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inText) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      if (++depth > MAX_JSON_NESTING) throw tooDeep(label);
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) depth--;
  }
}

function tooDeep(label: string): UserError {
  const what = `expected at most ${MAX_JSON_NESTING} levels of nesting, found more`;
  return new UserError("JSON_NESTING", `${label}: ${what}`, "the file is damaged, or was made to do harm");
}
