import { readFileSync } from "node:fs";
import path from "node:path";
import { FIXTURES } from "../../support/fixtures.ts";

/** Good and bad files; test/fixtures/README.md says what they hold. */
export const SAFETENSORS = path.join(FIXTURES, "safetensors");

/** What the reference implementation reads from a good file. */
interface ExpectedTensor {
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

export const EXPECTED: Expected = JSON.parse(readFileSync(path.join(SAFETENSORS, "expected.json"), "utf8"));
