export { type DecodableDtype, decodeF32, decodeValues, type ExactValue, isDecodable } from "./decode.ts";
export { DTYPE_NAMES, DTYPES, type Dtype, elementCount, isDtype, tensorBytes } from "./dtypes.ts";
export { type SafetensorsHeader, showName, showShape, type TensorInfo } from "./header.ts";
export { type LayoutOptions, layoutSafetensors, type SafetensorsEntry, type SafetensorsLayout } from "./layout.ts";
export { MAX_HEADER_BYTES, MAX_READ_BYTES } from "./limits.ts";
export { openSafetensors, SafetensorsFile } from "./reader.ts";
export { SafetensorsWriter, type TensorPiece, type WriterOptions, writeSafetensors } from "./writer.ts";
