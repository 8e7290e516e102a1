import path from "node:path";
import type { Provenance } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/reader.ts";
import { CODEC_IDS } from "../codecs/index.ts";
import { openSafetensors, showName, showShape } from "../formats/safetensors/index.ts";
import { unknownConfigFields } from "../model/architectures/index.ts";
import { type Checkpoint, openCheckpoint } from "../model/checkpoint.ts";
import { checkContextLength } from "../model/context-length.ts";
import { type DecoderSpec, matricesOf, vectorsOf } from "../model/decoder-spec.ts";
import { memorySum } from "../model/memory.ts";
import type { MemorySum } from "../model/memory-sum.ts";
import { runtimeBase } from "../runtime/base-bytes.ts";
import type { ExecutorInfo } from "../runtime/executor-info.ts";
import { shortBytes } from "../size-text.ts";
import type { Colours } from "./terminal.ts";
import { adapterText } from "./text/adapter-text.ts";
import { exitsText } from "./text/exits-text.ts";
import { guardPrediction, guardText } from "./text/guard-text.ts";
import { formatCount } from "./text/number-text.ts";
import { memoryText, planText } from "./text/plan-text.ts";
import { pruningText } from "./text/pruning-text.ts";
import { renderTable } from "./text/table.ts";

/** What `inspect` found: the JSON document, and the same for people. */
export interface Inspection {
  readonly document: Record<string, unknown>;
  readonly lines: readonly string[];
}

/** A single safetensors file: its tensors, in the order of the header. */
export async function inspectSafetensors(file: string, colours: Colours): Promise<Inspection> {
  const open = await openSafetensors(file);
  await open.close();
  const tensors = [...open.tensors].map(([name, { dtype, shape, begin, end }]) => ({
    ...{ name, dtype, shape, bytes: end - begin, fileOffset: open.dataOffset + begin },
  }));
  const metadata = open.metadata ? Object.fromEntries(open.metadata) : null;
  const { byteLength, headerBytes } = open;
  const columns = [{ head: "tensor" }, { head: "type" }, { head: "shape" }, { head: "bytes", align: "right" as const }];
  const rows = tensors.map(({ name, dtype, shape, bytes }) => [
    showName(name),
    dtype,
    showShape(shape),
    formatCount(bytes),
  ]);
  return {
    document: { kind: "safetensors", path: file, bytes: byteLength, headerBytes, metadata, tensors },
    lines: [
      `${file}: safetensors, ${tensors.length} tensors, ${shortBytes(byteLength)}, header of ${formatCount(headerBytes)} bytes`,
      ...Object.entries(metadata ?? {}).map(([key, value]) => `${key}: ${value}`),
      ...(rows.length > 0 ? [renderTable(columns, rows, colours)] : []),
    ],
  };
}

/** A checkpoint: its spec, files and element types, and the memory that it would take as it is stored. */
export async function inspectCheckpoint(
  folder: string,
  options: { contextTokens: number | undefined; executor: Pick<ExecutorInfo, "executor" | "backend"> },
  colours: Colours,
): Promise<Inspection> {
  const checkpoint = await openCheckpoint(folder);
  try {
    const { spec, id, files, weightBytes, dtypes, unused, notes } = checkpoint;
    const contextTokens = options.contextTokens ?? Math.min(2048, spec.maxPositions);
    checkContextLength(spec, contextTokens);
    const { runtimeBaseBytes } = runtimeBase(options.executor, spec);
    const memory = storedMemory(checkpoint, contextTokens, runtimeBaseBytes);
    const unknown = unknownConfigFields(checkpoint.configJson, folder);
    const types = [...dtypes].map(([dtype, use]) => ({ dtype, ...use }));
    return {
      document: {
        ...{ kind: "checkpoint", path: folder, id, parameters: countParameters(spec), weightBytes, dtypes: types },
        ...{
          files: files.map(({ path: file, bytes }) => ({ path: file, bytes })),
          notes,
          unusedTensors: unused,
          unknownConfigFields: unknown,
          spec,
          memory,
        },
      },
      lines: [
        `${folder}: checkpoint, ${specText(spec)}`,
        `${formatCount(countParameters(spec))} parameters, ${shortBytes(weightBytes)} (${types.map((type) => `${type.dtype} ${shortBytes(type.bytes)}`).join(", ")})`,
        ...files.map((file) => `file: ${path.basename(file.path)} ${shortBytes(file.bytes)}`),
        ...notes,
        ...(unused.length > 0 ? [`tensors that the model does not use: ${unused.join(", ")}`] : []),
        ...(unknown.length > 0 ? [`fields of config.json that mean nothing to layerwise: ${unknown.join(", ")}`] : []),
        ...["", "as it is stored, it would take", memoryText(memory, colours), ""],
      ],
    };
  } finally {
    await checkpoint.close();
  }
}

/** An artifact: its plan, memory sum and provenance. */
export async function inspectArtifact(folder: string, colours: Colours): Promise<Inspection> {
  const artifact = await openArtifact(folder);
  await artifact.close();
  const { manifest, memory, spec } = artifact;
  const { guard, pruning } = manifest.provenance;
  return {
    document: { kind: "artifact", path: folder, ...manifest, memory },
    lines: [
      `${folder}: artifact, ${specText(spec)}`,
      `manifest sha256 ${manifest.manifestSha256}`,
      provenanceText(manifest.provenance),
      ...(pruning ? [pruningText(pruning)] : []),
      ...(guard ? [guardText(guard, guardPrediction(manifest.plan, pruning))] : []),
      ...["", planText(manifest.plan, null, colours), ""],
      ...(manifest.adapter ? [adapterText(manifest.adapter, memory), ""] : []),
      ...(manifest.exits ? [exitsText(manifest.exits, colours), ""] : []),
    ],
  };
}

function provenanceText({ toolVersion, source, quantizer, scorer, recipe, seed }: Provenance): string {
  const name = typeof recipe.name === "string" ? `recipe ${recipe.name}, ` : "";
  const scored = scorer === null ? "" : `scorer ${scorer}, `;
  return `made by layerwise ${toolVersion} of checkpoint ${source.id.slice(0, 16)}…: ${name}${scored}quantizer ${quantizer}, seed ${seed}`;
}

/** Memory of a run with every matrix in its stored type; types without a codec of their own count as f32. */
function storedMemory(checkpoint: Checkpoint, contextTokens: number, runtimeBaseBytes: number): MemorySum {
  const codecs = new Map(
    matricesOf(checkpoint.spec).map(({ id }) => {
      const stored = checkpoint.storedDtype(id).toLowerCase();
      return [id, CODEC_IDS.find((codec) => codec === stored) ?? "f32"];
    }),
  );
  return memorySum(checkpoint.spec, codecs, {
    contextTokens,
    kvType: "f16",
    residency: "packed",
    runtimeBaseBytes,
    budgetCovers: "model",
  });
}

function countParameters(spec: DecoderSpec): number {
  const matrices = matricesOf(spec).reduce((sum, { rows, cols }) => sum + rows * cols, 0);
  return matrices + vectorsOf(spec).reduce((sum, { length }) => sum + length, 0);
}

/** "llama, 30 blocks of 576, 9 attention heads (3 KV) of 64, vocabulary 49,152, tied, at most 8,192 positions" */
function specText(spec: DecoderSpec): string {
  const attention = spec.blocks.find((block) => block.attention)?.attention;
  const heads = attention
    ? [`${attention.heads} attention heads (${attention.kvHeads} KV) of ${attention.headDim}`]
    : [];
  const parts = [
    spec.family,
    `${spec.blocks.length} blocks of ${spec.hiddenSize}`,
    ...heads,
    `vocabulary ${formatCount(spec.vocabSize)}${spec.tied ? ", tied" : ""}`,
    `at most ${formatCount(spec.maxPositions)} positions`,
  ];
  return parts.join(", ");
}
