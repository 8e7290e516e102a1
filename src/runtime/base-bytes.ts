/**
 * Resident bytes of a process with that backend up and no weights: median of several processes, as
 * scripts/measure-runtime-base.mjs measured and wrote it (Node 20.20.2, linux x64, AMD EPYC).
 */
export const RUNTIME_BASE_BYTES = {
  tensorflow: 282 * 1024 * 1024,
  wasm: 82 * 1024 * 1024,
  cpu: 85 * 1024 * 1024,
} as const;
