import { UserError } from "../../errors.ts";
import { DTYPE_NAMES, DTYPES, type Dtype, elementCount, isDtype, tensorBytes } from "./dtypes.ts";
import { LENGTH_BYTES, MAX_COUNT, MAX_HEADER_BYTES, MAX_SHOWN_NAME } from "./limits.ts";
import { type JsonObject, JsonSyntaxError, type JsonValue, parseStrictJson } from "./strict-json.ts";

/** A tensor of a file: bytes [begin, end), counted from the start of the data. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A checked header: its tensors together are exactly the file's data, without gap or overlap. */
export interface SafetensorsHeader {
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** `__metadata__`, or null where the file has none. */
  readonly metadata: ReadonlyMap<string, string> | null;
}

/*
 * Decisions where the format leaves room. "Reference" is the Rust library, version 0.8.
 *
 * | the header has                                   | reference | here    | because                                       |
 * | ------------------------------------------------ | --------- | ------- | --------------------------------------------- |
 * | spaces or line breaks before the object          | accepts   | accepts | harmless                                      |
 * | `"__metadata__": null`                           | accepts   | accepts | means none                                    |
 * | one tensor twice, dtype, shape and span the same | accepts   | accepts | says the same thing twice                     |
 * | one tensor twice, dtype or shape different       | last wins | refuses | which one is meant cannot be known            |
 * | one metadata key twice                           | last wins | accepts | if the values are equal; refuses if they differ |
 * | unknown fields in an entry                       | accepts   | accepts | room for later versions of the format         |
 * | an entry as array, a dtype as object             | accepts   | refuses | not the format: a trait of the Rust parser    |
 * | dimensions from 2^53 beside a dimension 0        | accepts   | refuses | no JavaScript number holds them               |
 */

/** A name for messages: quoted, on one line, not too long. */
export function showName(name: string): string {
  const quoted = JSON.stringify(name);
  return quoted.length <= MAX_SHOWN_NAME ? quoted : `${quoted.slice(0, MAX_SHOWN_NAME)}…"`;
}

/** A shape for messages: `[2, 3]`. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** The error for a file that breaks a rule of the format; `what` reads "<where>: expected …, found …". */
export function badSafetensors(label: string, what: string): UserError {
  return new UserError(
    "BAD_SAFETENSORS",
    `${label}: not a valid safetensors file: ${what}`,
    "download or copy the file again",
  );
}

/** Length of the JSON header from the file's first 8 bytes, checked against the file; UserError. */
export function headerLength(prefix: Uint8Array, fileBytes: number, label: string): number {
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw badSafetensors(label, `header length: expected at most ${MAX_HEADER_BYTES} bytes, found ${length}`);
  }
  if (Number(length) + LENGTH_BYTES > fileBytes) {
    throw badSafetensors(label, `header length ${length}: the file has only ${fileBytes} bytes`);
  }
  return Number(length);
}

class HeaderReader {
  private readonly label: string;
  private readonly tensors = new Map<string, TensorInfo>();
  private metadata: ReadonlyMap<string, string> | null = null;

  constructor(label: string) {
    this.label = label;
  }

  read(root: JsonObject): SafetensorsHeader {
    let sawMetadata = false;
    for (const [name, value] of root.members) {
      if (name !== "__metadata__") {
        this.addTensor(this.tensor(name, value));
        continue;
      }
      if (sawMetadata) this.fail("header: __metadata__ stands there twice");
      sawMetadata = true;
      this.metadata = value === null ? null : this.metadataMap(value);
    }
    return { tensors: this.tensors, metadata: this.metadata };
  }

  private fail(what: string): never {
    throw badSafetensors(this.label, what);
  }

  private addTensor(tensor: TensorInfo): void {
    const known = this.tensors.get(tensor.name);
    if (known && JSON.stringify(known) !== JSON.stringify(tensor)) {
      this.fail(`tensor ${showName(tensor.name)}: stands there twice, with different entries`);
    }
    this.tensors.set(tensor.name, tensor);
  }

  private metadataMap(value: JsonValue): ReadonlyMap<string, string> {
    if (!isObject(value)) return this.fail(`__metadata__: expected an object, found ${kindOf(value)}`);
    const map = new Map<string, string>();
    for (const [key, text] of value.members) {
      if (typeof text !== "string") return this.fail(`__metadata__: expected strings, found ${kindOf(text)}`);
      if (map.has(key) && map.get(key) !== text) this.fail(`__metadata__: ${showName(key)} has two values`);
      map.set(key, text);
    }
    return map;
  }

  private tensor(name: string, value: JsonValue): TensorInfo {
    const where = `tensor ${showName(name)}`;
    if (!isObject(value)) return this.fail(`${where}: expected an object, found ${kindOf(value)}`);
    const fields = new Map<string, JsonValue>();
    for (const [key, field] of value.members) {
      const known = key === "dtype" || key === "shape" || key === "data_offsets";
      if (known && fields.has(key)) this.fail(`${where}: ${key} stands there twice`);
      fields.set(key, field);
    }
    const dtype = fields.get("dtype");
    if (typeof dtype !== "string") return this.fail(`${where}: dtype: expected a string, found ${kindOf(dtype)}`);
    if (!isDtype(dtype)) {
      return this.fail(`${where}: dtype: expected one of ${DTYPE_NAMES.join(" ")}, found ${showName(dtype)}`);
    }
    const shape = this.counts(fields.get("shape"), `${where}: shape`);
    const offsets = this.counts(fields.get("data_offsets"), `${where}: data_offsets`);
    if (offsets.length !== 2) this.fail(`${where}: data_offsets: expected 2 numbers, found ${offsets.length}`);
    const [begin, end] = offsets;
    this.checkSpan(where, dtype, shape, begin, end);
    return { name, dtype, shape, begin, end };
  }

  /** An array of non-negative integers written without point or exponent. */
  private counts(value: JsonValue | undefined, where: string): number[] {
    if (!Array.isArray(value)) return this.fail(`${where}: expected an array, found ${kindOf(value)}`);
    return value.map((item: JsonValue) => {
      if (!isNumber(item)) return this.fail(`${where}: expected whole numbers, found ${kindOf(item)}`);
      const count = Number(item.text);
      if (!/^[0-9]+$/.test(item.text) || count > MAX_COUNT) {
        this.fail(`${where}: expected whole numbers from 0 to 2^53 - 1, found ${item.text.slice(0, MAX_SHOWN_NAME)}`);
      }
      return count;
    });
  }

  private checkSpan(where: string, dtype: Dtype, shape: readonly number[], begin: number, end: number): void {
    const bytes = tensorBytes(dtype, shape);
    const type = `${dtype} ${showShape(shape).slice(0, MAX_SHOWN_NAME)}`;
    if (bytes === null) {
      const count = elementCount(shape);
      const tooLarge = count === null || count * DTYPES[dtype].bits > MAX_COUNT;
      this.fail(`${where}: ${type} ${tooLarge ? "is larger than any file" : "is not a whole number of bytes"}`);
    }
    if (end - begin !== bytes) {
      this.fail(`${where}: data_offsets: expected ${bytes} bytes for ${type}, found ${end - begin}`);
    }
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "object";
}

function isNumber(value: JsonValue): value is Extract<JsonValue, { readonly kind: "number" }> {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "number";
}

function kindOf(value: JsonValue | undefined): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (isNumber(value)) return `the number ${value.text.slice(0, MAX_SHOWN_NAME)}`;
  if (isObject(value)) return "an object";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}

/** The tensors must cover the data exactly: no hole, no overlap, nothing after the last. */
function checkCoverage(tensors: Iterable<TensorInfo>, dataBytes: number, label: string): void {
  let at = 0;
  for (const tensor of [...tensors].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (tensor.begin !== at) {
      const what = tensor.begin < at ? "overlaps the tensor before it" : "leaves a hole before it";
      throw badSafetensors(
        label,
        `tensor ${showName(tensor.name)}: expected to begin at ${at}, found ${tensor.begin}: ${what}`,
      );
    }
    at = tensor.end;
  }
  if (at !== dataBytes) {
    throw badSafetensors(label, `expected ${at} bytes of data by its header, found ${dataBytes}`);
  }
}

/** Reads and checks a JSON header against the number of data bytes that follow it; UserError `BAD_SAFETENSORS`. */
export function parseHeader(json: Uint8Array, dataBytes: number, label: string): SafetensorsHeader {
  const header = new HeaderReader(label).read(parseRoot(json, label));
  checkCoverage(header.tensors.values(), dataBytes, label);
  return header;
}

function parseRoot(json: Uint8Array, label: string): JsonObject {
  let root: JsonValue;
  try {
    root = parseStrictJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json));
  } catch (error) {
    if (error instanceof JsonSyntaxError) throw badSafetensors(label, `header: not JSON: ${error.message}`);
    throw badSafetensors(label, "header: not UTF-8 text");
  }
  if (!isObject(root)) throw badSafetensors(label, `header: expected an object, found ${kindOf(root)}`);
  return root;
}
