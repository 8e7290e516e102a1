/**
 * Resident bytes of a process beside its model, with that executor or backend, a small tokenizer and a full context:
 * the largest of several processes, as scripts/measure-runtime-base.mjs measured and wrote it
 * (Node 20.20.2, linux x64, Intel(R) Xeon(R) Processor).
 */
export const MEASURED_BASE_BYTES = {
  native: 76 * 1024 * 1024,
  tensorflow: 294 * 1024 * 1024,
  wasm: 110 * 1024 * 1024,
  cpu: 135 * 1024 * 1024,
} as const;
