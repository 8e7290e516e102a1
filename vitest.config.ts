import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";
import { testFiles } from "./test/support/test-files.ts";

/** `--mode slow` runs the tests that take minutes (npm run test:slow), any other mode all but those. */
export default defineConfig(({ mode }) => {
  const { plain, tfjs, alone } = testFiles(mode === "slow");
  const limits = { testTimeout: 60_000, hookTimeout: 60_000 };
  return {
    test: {
      // Vitest leaves one core to itself, which is half of a machine with two.
      maxWorkers: availableParallelism(),
      projects: [
        // What does not load TensorFlow.js shares its threads, and what they have loaded.
        { test: { name: "plain", include: plain, pool: "threads", isolate: false, ...limits } },
        // libtensorflow lives in a process, not in a thread; each loads it once, for all its files.
        { test: { name: "tfjs", include: tfjs, pool: "forks", isolate: false, ...limits } },
        // A file a process.
        { test: { name: "alone", include: alone, pool: "forks", ...limits } },
      ],
    },
  };
});
