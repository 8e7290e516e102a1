import { afterEach, expect, it, vi } from "vitest";
import { reportFailure } from "../../src/cli/failure.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { UserError } from "../../src/errors.ts";

afterEach(() => void vi.restoreAllMocks());

/** What is printed for an error of that message. */
function printed(message: string, hint?: string): string {
  const texts: string[] = [];
  vi.spyOn(process.stderr, "write").mockImplementation((text) => texts.push(String(text)) > 0);
  expect(reportFailure(new UserError("CODE", message, hint), new Terminal({ json: false, ownsProcess: false }))).toBe(
    1,
  );
  return texts.join("");
}

it("tells a refusal in one line that can be printed, whatever the file held", () => {
  expect(printed("f: expected a\n  name, found \u001b[2J\u0000\u2028\u009b\r", "rename\nit")).toBe(
    "layerwise: f: expected a name, found \\u001b[2J\\u0000\\u2028\\u009b (rename it)\n",
  );
});

it("cuts what is long in the middle: the file stands first, what was expected may stand last", () => {
  for (const long of ["a", "a "].map((piece) => piece.repeat(100_000))) {
    const line = printed(`f: size ${long}: expected a unit`);
    expect(line.length).toBeLessThan(1300);
    expect(line).toMatch(/^layerwise: f: size [a ]+…[a ]+: expected a unit\n$/);
  }
});
