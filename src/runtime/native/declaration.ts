import { MEASURED_BASE_BYTES } from "../base-bytes-measured.ts";
import type { ExecutorDeclaration } from "../executor-declaration.ts";

const RUNS_WHERE = "its addon loads";

/** The native engine. */
export const NATIVE: ExecutorDeclaration = {
  traits: { rowExact: true, answersInEngine: true, yields: true, nativeMaths: true, streams: true, hasBackends: false },
  what: "compiled kernels",
  runsWhere: RUNS_WHERE,
  ownOption: ({ isa, activations }) =>
    isa !== undefined ? `instruction set ${isa}` : activations === "int8" ? "activations int8" : null,
  async probe() {
    const { loadNative } = await import("../../native/load.ts");
    const native = loadNative();
    if (native.addon) return { works: true };
    const hint = "use --executor tfjs, or build it with npm run build:native";
    return { works: false, found: "no addon", reason: native.reason, hint };
  },
  whyChosen: (byName) => (byName ? "asked for by name" : `${RUNS_WHERE} here`),
  async create(source, { isa, threads, activations, residency, weightRoomBytes }, reason) {
    const { createNativeExecutor } = await import("./executor.ts");
    return createNativeExecutor(source, { isa, threads, activations, residency, weightRoomBytes, reason });
  },
  async start({ isa: wanted, threads: most }, reason) {
    const { loadNative, openEngine } = await import("../../native/load.ts");
    const engine = openEngine({ isa: wanted, threads: most });
    const { isa, threads } = engine;
    engine.dispose();
    return { backend: null, isa, reason, threads, version: loadNative().addon?.version ?? "" };
  },
  baseBytes: () => MEASURED_BASE_BYTES.native,
};
