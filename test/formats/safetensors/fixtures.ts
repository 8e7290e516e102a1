import { existsSync, readFileSync } from "node:fs";
import path from "node:path";

/** The shared fixtures, beside the repository; tests skip where they are absent. */
export const FIXTURES = path.resolve("../shared/fixtures/safetensors");
export const HAVE_FIXTURES = existsSync(FIXTURES);

/** What the reference implementation reads from a good file. */
export interface ExpectedTensor {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
  readonly sha256: string;
  readonly values: unknown[];
}

interface Expected {
  readonly good: Record<
    string,
    {
      header_length: number;
      file_bytes: number;
      metadata: Record<string, string> | null;
      tensors: Record<string, ExpectedTensor>;
    }
  >;
  readonly bad: Record<string, { verdict: "reject" | "reference-accepts"; file_bytes: number }>;
}

export const EXPECTED: Expected = HAVE_FIXTURES
  ? JSON.parse(readFileSync(path.join(FIXTURES, "expected.json"), "utf8"))
  : { good: {}, bad: {} };
