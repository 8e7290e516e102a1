import { isDeepStrictEqual } from "node:util";
import { type ByteSource, openFile } from "../formats/byte-source.ts";
import { fileError } from "../formats/files.ts";
import type { SafetensorsLayout } from "../formats/safetensors/layout.ts";
import { readSafetensors, type SafetensorsFile } from "../formats/safetensors/reader.ts";
import { badArtifact } from "./artifact-error.ts";

/**
 * A file's own header must say what the manifest leads to: the bytes that we write, or the same in other words. Throws
 * UserError naming the first tensor that differs. The file stays open.
 */
export async function checkHeader(file: ByteSource, layout: SafetensorsLayout): Promise<void> {
  const { header, dataOffset } = layout;
  const isOurs = file.byteLength >= dataOffset && isDeepStrictEqual(await file.read(0, dataOffset), header);
  if (!isOurs) compareTensors(await readSafetensors(file), layout);
}

/** The same of a file that is not open. Throws UserError also where it cannot be read. */
export function checkFileHeader(name: string, layout: SafetensorsLayout): Promise<void> {
  return withChecked(name, layout, async () => undefined);
}

/** What `read` makes of a file, its header checked; open for so long. Throws as {@link checkFileHeader}. */
export function readChecked<T>(
  name: string,
  layout: SafetensorsLayout,
  read: (file: SafetensorsFile) => Promise<T>,
): Promise<T> {
  return withChecked(name, layout, async (source) => read(await readSafetensors(source)));
}

async function withChecked<T>(
  name: string,
  layout: SafetensorsLayout,
  use: (source: ByteSource) => Promise<T>,
): Promise<T> {
  const source = await openFile(name);
  try {
    await checkHeader(source, layout);
    return await use(source);
  } catch (error) {
    throw fileError(error, name, "read");
  } finally {
    await source.close();
  }
}

function compareTensors(found: SafetensorsFile, layout: SafetensorsLayout): void {
  if (found.dataOffset !== layout.dataOffset) {
    throw badArtifact(found.label, `start of data: expected ${layout.dataOffset}, found ${found.dataOffset}`);
  }
  if (found.tensors.size !== layout.tensors.size) {
    throw badArtifact(found.label, `tensors: expected ${layout.tensors.size}, found ${found.tensors.size}`);
  }
  for (const { name, dtype, shape, begin } of layout.tensors.values()) {
    const tensor = found.tensors.get(name);
    const text = (t: typeof tensor) => (t ? `${t.dtype} [${t.shape.join(", ")}] at ${t.begin}` : "none");
    if (tensor?.dtype === dtype && tensor.begin === begin && isDeepStrictEqual(tensor.shape, shape)) continue;
    throw badArtifact(
      found.label,
      `tensor ${name}: expected ${dtype} [${shape.join(", ")}] at ${begin}, found ${text(tensor)}`,
    );
  }
}
