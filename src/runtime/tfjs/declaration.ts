import { MEASURED_BASE_BYTES } from "../base-bytes-measured.ts";
import type { ExecutorDeclaration } from "../executor-declaration.ts";

/** TensorFlow.js. Its numbers depend on the batch, and it computes without yielding. */
export const TFJS: ExecutorDeclaration = {
  traits: {
    rowExact: false,
    answersInEngine: false,
    yields: false,
    nativeMaths: false,
    streams: false,
    hasBackends: true,
  },
  what: "TensorFlow.js",
  runsWhere: null,
  ownOption: ({ backend = "auto" }) => (backend === "auto" ? null : `backend ${backend}`),
  probe: async () => ({ works: true }),
  // Why its backend was chosen says enough (tfjs/backend.ts).
  whyChosen: () => "",
  async create(source, { backend, threads, residency }, reason) {
    const { createTfjsExecutor } = await import("./executor.ts");
    return createTfjsExecutor(source, { backend, threads, residency, because: reason === "" ? undefined : reason });
  },
  async start(options, reason) {
    const { openBackend } = await import("./backend.ts");
    const { backend, reason: whyBackend, threads, version } = await openBackend(options);
    return { backend, isa: null, reason: reason === "" ? whyBackend : `${reason}; ${whyBackend}`, threads, version };
  },
  baseBytes: (backend) =>
    backend === "wasm" || backend === "cpu" ? MEASURED_BASE_BYTES[backend] : MEASURED_BASE_BYTES.tensorflow,
};
