import { UserError } from "../../../src/errors.ts";
import type { ByteSource } from "../../../src/formats/byte-source.ts";
import {
  GGUF_KIND_IDS,
  GGUF_NUMBERS,
  type GgufNumberKind,
  type GgufValue,
} from "../../../src/formats/gguf/metadata.ts";

/** Bytes read at a time: a vocabulary's names and merges are some megabytes. */
const WINDOW_BYTES = 1 << 20;
/** Longest string that is read: chat templates have some ten kilobytes. */
const MAX_STRING_BYTES = 1 << 24;
/** Most elements of an array: the largest vocabularies have 262,144 ids. */
const MAX_ELEMENTS = 1 << 24;

/** Error of a file that is no GGUF file of the kinds that are read. */
export function badGguf(source: ByteSource, message: string): UserError {
  return new UserError("BAD_GGUF", `${source.label}: ${message}`, "the file is damaged or of a kind that is not read");
}

/** Reads the values of a header from front to back; every count and length is checked before room is made for it. */
export class HeaderReader {
  readonly source: ByteSource;
  private window: DataView = new DataView(new ArrayBuffer(0));
  private windowStart = 0;
  private next = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  /** Bytes read so far. */
  get position(): number {
    return this.next;
  }

  async number(kind: GgufNumberKind): Promise<number> {
    const { bytes, read } = GGUF_NUMBERS[kind];
    const at = await this.advance(bytes);
    return read(this.window, at);
  }

  /** A uint64 of at most `most`. */
  async count(what: string, most: number): Promise<number> {
    const value = await this.bigint("uint64");
    if (value > BigInt(most)) throw badGguf(this.source, `${what}: expected at most ${most}, found ${value}`);
    return Number(value);
  }

  async string(): Promise<string> {
    const length = await this.count(`string at byte ${this.next}: length`, MAX_STRING_BYTES);
    const at = await this.advance(length);
    const bytes = new Uint8Array(this.window.buffer, this.window.byteOffset + at, length);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw badGguf(this.source, `string at byte ${this.next - length}: expected UTF-8, found other bytes`);
    }
  }

  /** A metadata value after the number of its kind. */
  async value(): Promise<GgufValue> {
    const id = await this.number("uint32");
    if (id !== GGUF_KIND_IDS.array) return this.plain(id);
    const of = await this.number("uint32");
    const length = await this.count(`array at byte ${this.next}: length`, MAX_ELEMENTS);
    if (of === GGUF_KIND_IDS.string)
      return { kind: "array", of: "string", value: await this.list(length, () => this.string()) };
    if (of === GGUF_KIND_IDS.bool)
      return { kind: "array", of: "bool", value: await this.list(length, () => this.bool()) };
    if (of === GGUF_KIND_IDS.uint64 || of === GGUF_KIND_IDS.int64) {
      const kind = of === GGUF_KIND_IDS.uint64 ? "uint64" : "int64";
      return { kind: "array", of: kind, value: await this.list(length, () => this.bigint(kind)) };
    }
    const kind = this.numberKind(of);
    return { kind: "array", of: kind, value: await this.list(length, () => this.number(kind)) };
  }

  private async plain(id: number): Promise<GgufValue> {
    if (id === GGUF_KIND_IDS.string) return { kind: "string", value: await this.string() };
    if (id === GGUF_KIND_IDS.bool) return { kind: "bool", value: await this.bool() };
    if (id === GGUF_KIND_IDS.uint64) return { kind: "uint64", value: await this.bigint("uint64") };
    if (id === GGUF_KIND_IDS.int64) return { kind: "int64", value: await this.bigint("int64") };
    const kind = this.numberKind(id);
    return { kind, value: await this.number(kind) };
  }

  private numberKind(id: number): GgufNumberKind {
    const kind = numberKindOf(id);
    if (kind) return kind;
    throw badGguf(this.source, `value at byte ${this.next}: kind: expected 0 … 8 or 10 … 12, found ${id}`);
  }

  private async bool(): Promise<boolean> {
    const value = await this.number("uint8");
    if (value > 1) throw badGguf(this.source, `bool at byte ${this.next - 1}: expected 0 or 1, found ${value}`);
    return value === 1;
  }

  private async bigint(kind: "uint64" | "int64"): Promise<bigint> {
    const at = await this.advance(8);
    return kind === "uint64" ? this.window.getBigUint64(at, true) : this.window.getBigInt64(at, true);
  }

  private async list<T>(length: number, read: () => Promise<T>): Promise<T[]> {
    const values: T[] = [];
    for (let i = 0; i < length; i++) values.push(await read());
    return values;
  }

  /** Makes sure that the next `count` bytes are in the window, and says where in it they begin. */
  private async advance(count: number): Promise<number> {
    const start = this.next - this.windowStart;
    if (start + count <= this.window.byteLength) {
      this.next += count;
      return start;
    }
    const length = Math.max(count, Math.min(WINDOW_BYTES, this.source.byteLength - this.next));
    const bytes = await this.source.read(this.next, length);
    this.window = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.windowStart = this.next;
    this.next += count;
    return 0;
  }
}

/** The kind of a number id; null where it is none. */
function numberKindOf(id: number): GgufNumberKind | null {
  return NUMBER_KINDS.find((kind) => GGUF_NUMBERS[kind].id === id) ?? null;
}

const NUMBER_KINDS: readonly GgufNumberKind[] = Object.keys(GGUF_NUMBERS).filter((kind): kind is GgufNumberKind =>
  Object.hasOwn(GGUF_NUMBERS, kind),
);
