import { Writable } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { expect, test } from "vitest";
import { ProgressDisplay, type ProgressStream } from "../../src/cli/progress-display.ts";
import { formatCount, formatDuration, formatNumber } from "../../src/cli/text/number-text.ts";

function display(isTTY: boolean, { plain = false } = {}) {
  let written = "";
  const sink = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk);
      done();
    },
  });
  const stream: ProgressStream = Object.assign(sink, { isTTY, columns: 80 });
  const clock = { ms: 0 };
  return { progress: new ProgressDisplay(stream, { plain, now: () => clock.ms }), clock, text: () => written };
}

test("without a terminal a plain line comes now and then, with the time left", () => {
  const { progress, clock, text } = display(false);
  for (let done = 0; done <= 100; done++) {
    clock.ms = done * 300;
    progress.show({ stage: "scoring kl", done, total: 100, detail: `blocks.${done}` });
  }
  expect(text()).toBe("scoring kl 34/100, 20 s left blocks.34\nscoring kl 68/100, 10 s left blocks.68\n");
});

test("short work writes nothing without a terminal", () => {
  const { progress, text } = display(false);
  for (let done = 0; done <= 10; done++) progress.show({ stage: "packing", done, total: 10 });
  progress.clear();
  expect(text()).toBe("");
});

test("a terminal gets a bar, which goes away at the end", async () => {
  const { progress, clock, text } = display(true);
  progress.show({ stage: "packing", done: 0, total: 4 });
  clock.ms = 2000;
  progress.show({ stage: "packing", done: 1, total: 4, detail: "blocks.1" });
  // The bar is drawn at most every 200 ms.
  await setTimeout(500);
  expect(text()).toContain("packing ######------------------ 1/4, 6 s left blocks.1");
  progress.show({ stage: "packing", done: 4, total: 4 });
  expect(text()).not.toContain("4/4");
});

test("a dumb terminal gets lines", () => {
  const { progress, clock, text } = display(true, { plain: true });
  clock.ms += 20_000;
  progress.show({ stage: "packing", done: 1, total: 2 });
  expect(text()).toBe("packing 1/2\n");
});

test("numbers for people", () => {
  expect(formatCount(1234567)).toBe("1,234,567");
  expect([900, 45_000, 200_000, 7_500_000].map(formatDuration)).toEqual(["1 s", "45 s", "3 min 20 s", "2 h 5 min"]);
  expect([0, 0.000123456, 12.3456, 123456.7, Number.NaN].map(formatNumber)).toEqual([
    "0",
    "0.0001235",
    "12.35",
    "123457",
    "NaN",
  ]);
});
