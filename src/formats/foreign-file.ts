import { UserError } from "../errors.ts";

/** Whether a file that begins with these bytes is of the kind; `text`: the same, a letter a byte. */
type Begins = (bytes: Uint8Array, text: string) => boolean;

interface ForeignKind {
  readonly begins: Begins;
  readonly what: string;
  readonly hint: string;
}

/** Bytes from the start of a file that tell what it is. */
export const FOREIGN_BYTES = 512;

/** Longest file that is a pointer: it names a size and a hash. */
const MAX_POINTER_BYTES = 1024;

const matches =
  (pattern: RegExp): Begins =>
  (_, text) =>
    pattern.test(text);
const starts =
  (...hex: readonly string[]): Begins =>
  (bytes) =>
    hex.some((magic) => Buffer.from(magic, "hex").every((byte, i) => bytes[i] === byte));

const TO_SAFETENSORS = "convert it to safetensors (transformers: save_pretrained(..., safe_serialization=True))";
const UNPACK = "unpack it, and name what was inside";
const AS_TEXT = 'give plain UTF-8 text, or JSON lines of {"text": …}';
const DOWNLOAD = "download the file again: the server answered with something else (a login, an error)";

/** What a checkout holds in place of files that were not fetched: text, and so legal where text is read. */
const POINTERS: readonly ForeignKind[] = [
  {
    begins: matches(/^version https:\/\/(git-lfs|hawser)\.github\.com\/spec\//),
    what: "a Git LFS pointer: the file itself was not fetched",
    hint: "run git lfs pull in its folder, or download the file itself",
  },
  {
    begins: matches(/^# xet version /),
    what: "a Xet pointer: the file itself was not fetched",
    hint: "download the file itself (hf download)",
  },
  {
    begins: matches(/^(\.\.\/)*\/?(\.git\/)?annex\/objects\//),
    what: "a git-annex pointer: the file itself was not fetched",
    hint: "run git annex get in its folder",
  },
];

/** What else people have where a file of ours is expected. */
const KINDS: readonly ForeignKind[] = [
  ...POINTERS,
  {
    begins: matches(/^GGUF/),
    what: "a GGUF file",
    hint: "GGUF is written (export-gguf), not read: start from the original checkpoint in safetensors",
  },
  { begins: matches(/^\s*<(!doctype|html|head|body|\?xml)/i), what: "a web page", hint: DOWNLOAD },
  {
    begins: matches(/^(Entry |Repository |File )?not found|^Invalid (username|credentials)|^Access to model/i),
    what: "a server's error message",
    hint: DOWNLOAD,
  },
  { begins: starts("504b0304"), what: "a zip archive, as PyTorch's pickles are", hint: TO_SAFETENSORS },
  { begins: starts("8002", "8003", "8004", "8005"), what: "a Python pickle", hint: TO_SAFETENSORS },
  { begins: starts("894844460d0a"), what: "an HDF5 file", hint: TO_SAFETENSORS },
  { begins: starts("934e554d5059"), what: "a NumPy array", hint: TO_SAFETENSORS },
  { begins: matches(/^PAR1/), what: "a Parquet file", hint: "convert it to the form that is expected" },
  { begins: matches(/^ARROW1|^FEA1/), what: "an Arrow file", hint: "convert it to the form that is expected" },
  { begins: matches(/^%PDF-/), what: "a PDF document", hint: "convert it to the form that is expected" },
  {
    begins: starts("1f8b", "425a68", "fd377a585a", "377abcaf", "28b52ffd", "04224d18"),
    what: "a compressed file",
    hint: UNPACK,
  },
  { begins: (bytes, text) => bytes.length > 262 && text.startsWith("ustar", 257), what: "a tar archive", hint: UNPACK },
];

const SAFETENSORS: ForeignKind = {
  begins: (bytes, text) => bytes.subarray(4, 8).every((byte) => byte === 0) && /^\s*\{\s*"/.test(text.slice(8)),
  what: "a safetensors file",
  hint: "check which file is which",
};

/** JSON where weights are expected: an index, a config, or a server's answer. A length field would have zeros. */
const JSON_TEXT: ForeignKind = {
  begins: (bytes, text) => bytes.subarray(0, 8).every((byte) => byte !== 0) && /^\s*(\{\s*"|\[)/.test(text),
  what: "JSON text",
  hint: "name the weights; where it should be them, download the file again",
};

/**
 * The UserError `FOREIGN_FILE` for a file whose first bytes are another kind's than the expected one (a Git LFS
 * pointer, a web page, GGUF, a pickle, …), or null where they tell nothing. Asked where reading has failed: nothing
 * that reads well begins so.
 */
export function foreignFile(bytes: Uint8Array, label: string, expected: string): UserError | null {
  const other = expected === "JSON" ? [SAFETENSORS] : expected === "safetensors" ? [JSON_TEXT] : [];
  return firstOf([...KINDS, ...other], bytes, label, expected);
}

/** Throws UserError `FOREIGN_FILE` for a whole file that is a pointer (Git LFS and the like). */
export function refusePointer(bytes: Uint8Array, label: string): void {
  const pointer = bytes.length <= MAX_POINTER_BYTES && firstOf(POINTERS, bytes, label, "the file itself");
  if (pointer) throw pointer;
}

function firstOf(kinds: readonly ForeignKind[], bytes: Uint8Array, label: string, expected: string): UserError | null {
  const head = bytes.subarray(0, FOREIGN_BYTES);
  const text = Buffer.from(head.buffer, head.byteOffset, head.length).toString("latin1");
  const kind = kinds.find(({ begins }) => begins(head, text));
  if (!kind) return null;
  const hint = expected === "text" && ![UNPACK, DOWNLOAD].includes(kind.hint) ? AS_TEXT : kind.hint;
  return new UserError("FOREIGN_FILE", `${label}: expected ${expected}, found ${kind.what}`, hint);
}
