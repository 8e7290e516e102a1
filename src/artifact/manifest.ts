import { z } from "zod";
import { DecoderSpec } from "../model/decoder-spec.ts";
import { AdapterTable } from "./adapter/table.ts";
import { ExitTable } from "./exits/table.ts";
import { Plan } from "./plan.ts";

/** Name of the manifest in the artifact's folder; everything else is listed in it. */
export const MANIFEST_NAME = "manifest.json";
/** How the artifact runs best on a machine. Beside the manifest's files: it changes nothing of the artifact. */
export const SCHEDULE_NAME = "schedule.json";
/** Heads of the early exits, where there are any. */
export const EXITS_NAME = "exits.safetensors";
/** Additions to the blocks' matrices, where there are any. */
export const ADAPTER_NAME = "adapter.safetensors";
/** Files that may be added to an artifact that exists. */
export const PART_NAMES: readonly string[] = [EXITS_NAME, ADAPTER_NAME];

/** Under this name a part waits until the manifest may speak of it: nobody reads what a killed run leaves. */
export function waitingName(part: string): string {
  return `new-${part}`;
}

/** Version of the manifest that is written. 3 says in more words what 2 said; the weights files are the same. */
export const FORMAT_VERSION = 3;
/** Versions that are read. */
export const READ_VERSIONS = [2, FORMAT_VERSION] as const;

const count = z.number().int().nonnegative();
const positive = z.number().int().positive();

/** A sha256 as 64 lower-case hexadecimal digits. */
export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
/** A name in the folder itself: no path. */
const FileName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,199}$/, "expected a plain file name");

/** A file by name, size and contents. */
export const FileRecord = z.strictObject({ name: FileName, bytes: count, sha256: Sha256 });
export type FileRecord = z.infer<typeof FileRecord>;

/** How a codec of the artifact stores a matrix, for readers without our table. */
const CodecRecord = z.strictObject({
  bits: positive,
  group: positive.nullable(),
  scheme: z.enum(["symmetric", "asymmetric", "table", "float"]),
  /** Where scales are not f16: 8 bits a group under a bf16 a row. */
  scales: z.literal("two-level").optional(),
  /** A table codec's numbers, by code. */
  levels: z.array(z.number().int()).optional(),
  /** Where a row stores only some levels: so many of every 4 or 32 columns. */
  kept: z.strictObject({ count: positive, of: z.literal([4, 32]) }).optional(),
});

const place = {
  /** Tensor in the weights file; a matrix or vector under its id. */
  name: z.string(),
  /** Weights file that holds it. */
  file: FileName,
  /** First byte in the file, and bytes there, rounded up to 64. */
  offset: count,
  bytes: count,
  /** Of these bytes. */
  sha256: Sha256,
};

/** A tensor of the weights files, in execution order. */
export const TensorRecord = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("matrix"), ...place, codec: z.string(), rows: positive, cols: positive }),
  z.strictObject({ kind: z.literal("vector"), ...place, length: positive }),
  z.strictObject({ kind: z.literal("padding"), ...place }),
]);
export type TensorRecord = z.infer<typeof TensorRecord>;

/** KL divergence from the original weights, nats a token. */
const Divergence = z.strictObject({ mean: z.number(), meanError: z.number() });

/**
 * The packed plan beside the best uniform plan of no more bytes, and one that leaves blocks out beside the best one
 * that does not, on text that nothing else saw, and which of them ships.
 */
export const GuardResult = z.strictObject({
  tokens: positive,
  plan: Divergence,
  /** Null where no uniform plan takes as little. `codec`: of the blocks' matrices. */
  uniform: z.strictObject({ codec: z.string(), totalBytes: count, divergence: Divergence }).nullable(),
  /** Absent where the plan leaves nothing out, or no plan of whole blocks fits. */
  whole: z.strictObject({ totalBytes: count, divergence: Divergence }).optional(),
  ships: z.enum(["plan", "uniform", "whole"]),
});
export type GuardResult = z.infer<typeof GuardResult>;

/** An adapter's files, and the base model that it names. */
const AdapterIdentity = z.strictObject({
  base: z.string().nullable(),
  files: z.array(z.strictObject({ name: z.string(), bytes: count, sha256: Sha256 })),
});

/** Slices of a kind that a block keeps, of those that it had. */
export const PrunedSlices = z.strictObject({ kind: z.string(), kept: count, slices: count });
export type PrunedSlices = z.infer<typeof PrunedSlices>;

/** What the artifact was made from and by; equal provenance gives equal bytes. */
export const Provenance = z.strictObject({
  toolVersion: z.string(),
  source: z.strictObject({
    /** Names the checkpoint's contents. */
    id: z.string(),
    files: z.array(z.strictObject({ name: z.string(), bytes: count, sha256: Sha256 })),
  }),
  /** Names the calibration set; null where none was used. */
  calibrationId: z.string().nullable(),
  /** What was taken out of the source's blocks, one a block; null: nothing was to be. Absent: nothing was. */
  pruning: z.array(PrunedSlices.nullable()).optional(),
  /** The adapter that was merged into the source's matrices; absent: none. */
  adapter: AdapterIdentity.optional(),
  scorer: z.string().nullable(),
  quantizer: z.string(),
  /** Absent where no comparison was asked for. */
  guard: GuardResult.optional(),
  /** Settings, backend, version and threads by which numbers were learned; absent where none were. */
  learning: z.record(z.string(), z.unknown()).optional(),
  /** The recipe with every default filled in. */
  recipe: z.record(z.string(), z.unknown()),
  seed: z.number().int(),
});
export type Provenance = z.infer<typeof Provenance>;

/** `manifest.json`: all that an artifact is, but for the bytes of its files. */
export const Manifest = z.strictObject({
  /** sha256 of the manifest file itself with these 64 digits as zeros; names the artifact. */
  manifestSha256: Sha256,
  formatVersion: z.literal(READ_VERSIONS),
  spec: DecoderSpec,
  /** Codec of each matrix, and the memory sum. */
  plan: Plan,
  /** Codecs that occur in `tensors`. */
  codecs: z.record(z.string(), CodecRecord),
  /** Weights files are cut so that none is larger, but for one that holds a single segment. */
  maxFileBytes: positive,
  /** Every file of the folder but the manifest: weights in order, then the others by name. */
  files: z.array(FileRecord),
  tensors: z.array(TensorRecord),
  /** Early exits; null: none, which the file says as an empty list. */
  exits: z.preprocess((value) => (Array.isArray(value) && value.length === 0 ? null : value), ExitTable.nullable()),
  provenance: Provenance,
  /** Absent: none. */
  adapter: AdapterTable.optional(),
});
export type Manifest = z.infer<typeof Manifest>;

/** Names of an artifact's files: no other of its folder is part of it. */
export function fileNames({ files }: Manifest): string[] {
  return files.map(({ name }) => name);
}
