/**
 * Resident bytes of a process with that executor or backend up and no weights: median of several processes, as
 * scripts/measure-runtime-base.mjs measured and wrote it (Node 20.20.2, linux x64, AMD EPYC).
 */
export const MEASURED_BASE_BYTES = {
  native: 65 * 1024 * 1024,
  tensorflow: 275 * 1024 * 1024,
  wasm: 81 * 1024 * 1024,
  cpu: 78 * 1024 * 1024,
} as const;
