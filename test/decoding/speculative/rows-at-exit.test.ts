import { expect, it } from "vitest";
import { RowsAtExit } from "../../../src/decoding/speculative/rows-at-exit.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { openExecutor } from "./exit-cases.ts";

it("keeps rows where the executor has them and hands them over as one state", async () => {
  const executor = await openExecutor(randomSource(smallSpec()), "tfjs");
  const numbers = (count: number, value: number) => new Float32Array(16 * count).fill(value);
  const state = (count: number, value: number) => executor.write(numbers(count, value), count);
  const waiting = new RowsAtExit(executor);
  expect(() => waiting.take()).toThrow("none does");
  const only = state(2, 1);
  waiting.append({ hidden: only, count: 2, first: 7 });
  expect(waiting.count).toBe(2);
  // A single state is handed over as it is.
  expect(waiting.take()).toEqual({ hidden: only, count: 2, first: 7 });
  expect(waiting.count).toBe(0);
  waiting.append({ hidden: only, count: 2, first: 7 });
  waiting.append({ hidden: state(1, 2), count: 1, first: 9 });
  const stray = state(1, 3);
  expect(() => waiting.append({ hidden: stray, count: 1, first: 9 })).toThrow("expected position 10, found 9");
  const { hidden, count, first } = waiting.take();
  expect([count, first, waiting.count]).toEqual([3, 7, 0]);
  expect(await executor.read(hidden)).toEqual(Float32Array.of(...numbers(2, 1), ...numbers(1, 2)));
  waiting.append({ hidden, count, first });
  waiting.clear();
  expect(waiting.count).toBe(0);
  // What was held is released, what was refused is not.
  await expect(executor.read(hidden)).rejects.toThrow();
  expect(await executor.read(stray)).toEqual(numbers(1, 3));
  executor.release(stray);
  await executor.dispose();
});
