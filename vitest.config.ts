import { defineConfig } from "vitest/config";

/** `--mode slow` runs the tests that take minutes (npm run test:slow), any other mode all but those. */
export default defineConfig(({ mode }) => ({
  test: {
    include: [mode === "slow" ? "test/**/*.slow.test.ts" : "test/**/*.test.ts"],
    exclude: ["test/peers/**", "**/node_modules/**", ...(mode === "slow" ? [] : ["**/*.slow.test.ts"])],
    // One process a file: TensorFlow and the wasm backend keep global state.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
}));
