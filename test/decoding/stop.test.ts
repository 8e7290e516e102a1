import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createStopMatcher } from "../../src/decoding/stop.ts";

function feed(pieces: readonly string[], stops: readonly string[]): { text: string; stop: string | null } {
  const matcher = createStopMatcher(stops);
  let text = "";
  for (const piece of pieces) {
    const step = matcher.push(piece);
    text += step.text;
    if (step.stop !== null) return { text, stop: step.stop };
  }
  return { text: text + matcher.flush(), stop: null };
}

/** The definition, character by character: the first end of text that is a stop string, the longest of several. */
function twin(whole: string, stops: readonly string[]): { text: string; stop: string | null } {
  for (let end = 1; end <= whole.length; end++) {
    const ended = stops.filter((stop) => whole.slice(0, end).endsWith(stop)).sort((a, b) => b.length - a.length);
    if (ended.length > 0) return { text: whole.slice(0, end - ended[0].length), stop: ended[0] };
  }
  return { text: whole, stop: null };
}

describe("createStopMatcher", () => {
  test("finds a stop string cut across pieces and swallows it", () => {
    expect(feed(["one ST", "O", "P two"], ["STOP"])).toEqual({ text: "one ", stop: "STOP" });
  });

  test("gives back what only looked like one", () => {
    expect(feed(["one ST", "ART", " two"], ["STOP"])).toEqual({ text: "one START two", stop: null });
    expect(feed(["one ST"], ["STOP"])).toEqual({ text: "one ST", stop: null });
  });

  test("holds back no more than could become a stop string", () => {
    const matcher = createStopMatcher(["\n\nUser:"]);
    expect(matcher.push("hello\nthere")).toEqual({ text: "hello\nthere", stop: null });
    expect(matcher.push("x\n\nUs")).toEqual({ text: "x", stop: null });
    expect(matcher.push("ual")).toEqual({ text: "\n\nUsual", stop: null });
  });

  test("agrees with the definition however the text is cut", () => {
    const text = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 30 }).map((letters) => letters.join(""));
    const stop = fc
      .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 })
      .map((letters) => letters.join(""));
    const cuts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 30, maxLength: 30 });
    fc.assert(
      fc.property(text, fc.array(stop, { maxLength: 3 }), cuts, (whole, stops, lengths) => {
        const pieces: string[] = [];
        for (let at = 0, i = 0; at < whole.length; at += lengths[i++]) pieces.push(whole.slice(at, at + lengths[i]));
        expect(feed(pieces, stops)).toEqual(twin(whole, stops));
      }),
      { numRuns: 500 },
    );
  });

  test("refuses an empty stop string", () => {
    expect(() => createStopMatcher(["x", ""])).toThrow("stop string: expected text, found an empty string");
  });
});
