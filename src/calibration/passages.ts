/**
 * Cuts documents into passages of at most `chars` characters that together are the whole text, each cut at the last
 * blank line, line end or space of its second half.
 */
export function cutPassages(documents: readonly string[], chars: number): string[] {
  return documents.flatMap((document) => {
    const passages: string[] = [];
    for (let start = 0; start < document.length; ) {
      const end =
        start + chars >= document.length ? document.length : lastBreak(document, start + chars / 2, start + chars);
      passages.push(document.slice(start, end));
      start = end;
    }
    return passages;
  });
}

/**
 * Cuts documents into cells of `chars` characters and starts each but a document's first at the first break in the
 * cell's first fifth, so that a passage begins with a paragraph, a line or a word. At least four fifths of a full cell
 * are kept.
 */
export function startPassages(documents: readonly string[], chars: number): string[] {
  return documents.flatMap((document) => {
    const passages: string[] = [];
    for (let cell = 0; cell < document.length; cell += chars) {
      const start = cell === 0 ? 0 : firstBreak(document, cell, cell + Math.ceil(chars / 5));
      passages.push(document.slice(start, wholeCharacter(document, cell + chars)));
    }
    return passages;
  });
}

/** Marks of a break, the best first, and how many of their characters belong to the text before the cut. */
const BREAKS: readonly (readonly [string, number])[] = [
  ["\n\n", 2],
  ["\n", 1],
  [" ", 0],
];

function lastBreak(text: string, from: number, to: number): number {
  for (const [mark, kept] of BREAKS) {
    const at = text.lastIndexOf(mark, to - mark.length);
    if (at >= from) return at + kept;
  }
  return wholeCharacter(text, Math.floor(to));
}

function firstBreak(text: string, from: number, to: number): number {
  for (const [mark, kept] of BREAKS) {
    const at = text.indexOf(mark, from);
    if (at >= 0 && at + mark.length <= to) return at + kept;
  }
  return wholeCharacter(text, from);
}

/** `at`, or one less where it would part a surrogate pair. */
function wholeCharacter(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}
