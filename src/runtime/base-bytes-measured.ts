/**
 * Resident bytes of a process beside its model, with that executor or backend, a small tokenizer and a full context:
 * the largest of several processes, as scripts/measure-runtime-base.mjs measured and wrote it
 * (Node 20.20.2, linux x64, Intel(R) Xeon(R) Processor).
 */
export const MEASURED_BASE_BYTES = {
  native: 74 * 1024 * 1024,
  tensorflow: 289 * 1024 * 1024,
  wasm: 108 * 1024 * 1024,
  cpu: 138 * 1024 * 1024,
} as const;
