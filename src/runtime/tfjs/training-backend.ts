import { type BackendInfo, type BackendOptions, ensureGradients, openBackend } from "./backend.ts";

/** Opens the backend on which gradients are computed. Throws as openBackend does. */
export async function openTrainingBackend(options: BackendOptions): Promise<BackendInfo> {
  const info = await openBackend(options);
  await ensureGradients();
  return info;
}
