import { GGUF_KIND_IDS, GGUF_NUMBERS, type GgufArray, type GgufNumberKind, type GgufValue } from "./metadata.ts";

const FIRST_BYTES = 65536;

/** Collects the values of a header; its room doubles as it fills. */
export class HeaderBytes {
  private bytes = new Uint8Array(FIRST_BYTES);
  private view = new DataView(this.bytes.buffer);
  private length = 0;

  number(kind: GgufNumberKind, value: number): void {
    const { bytes, write } = GGUF_NUMBERS[kind];
    const at = this.advance(bytes);
    write(this.view, at, value);
  }

  uint64(value: number | bigint): void {
    const at = this.advance(8);
    this.view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  }

  string(text: string): void {
    const encoded = new TextEncoder().encode(text);
    this.uint64(encoded.length);
    const at = this.advance(encoded.length);
    this.bytes.set(encoded, at);
  }

  /** A metadata value after the number of its kind. */
  value(value: GgufValue): void {
    this.number("uint32", kindId(value.kind));
    if (value.kind === "array") this.array(value);
    else this.plain(value.kind, value.value);
  }

  /** Everything so far, with zero bytes up to a multiple of `alignment`. */
  finish(alignment: number): Uint8Array {
    this.advance((alignment - (this.length % alignment)) % alignment);
    return this.bytes.slice(0, this.length);
  }

  private array({ of, value }: GgufArray): void {
    this.number("uint32", kindId(of));
    this.uint64(value.length);
    for (const element of value) this.plain(of, element);
  }

  private plain(kind: Exclude<GgufValue["kind"], "array">, value: number | bigint | boolean | string): void {
    if (typeof value === "string") this.string(value);
    else if (typeof value === "boolean") this.number("uint8", value ? 1 : 0);
    else if (typeof value === "bigint") this.uint64(value);
    else if (kind === "bool" || kind === "string" || kind === "uint64" || kind === "int64") throw new TypeError(kind);
    else this.number(kind, value);
  }

  private advance(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length <= this.bytes.length) return at;
    const grown = new Uint8Array(2 * this.length);
    grown.set(this.bytes);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
    return at;
  }
}

function kindId(kind: GgufValue["kind"]): number {
  switch (kind) {
    case "bool":
    case "string":
    case "array":
    case "uint64":
    case "int64":
      return GGUF_KIND_IDS[kind];
    default:
      return GGUF_NUMBERS[kind].id;
  }
}
