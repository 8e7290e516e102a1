import { describe, expect, it } from "vitest";
import { importsOf, resolveImport, SOURCE_FILES, textOf } from "./source-files.ts";

/** Floors from low to high: a file imports from its own room and from lower floors. */
const FLOORS: readonly (readonly string[])[] = [
  ["errors", "progress", "version", "near-names", "size-text", "cache-folder", "tensor"],
  ["formats", "codecs", "native"],
  ["maths"],
  ["model"],
  ["artifact"],
  ["runtime"],
  ["passes"],
  ["decoding"],
  ["calibration", "scoring", "planning", "quantization", "pruning", "training", "evaluation"],
  ["pipeline", "bench", "report"],
  ["cli", "index", "plan-entry", "compress-entry"],
];

/** What a room imports from rooms of its own floor: only what stands here, and nothing in a circle. */
const NEIGHBOURS: Readonly<Record<string, readonly string[]>> = {
  native: ["codecs"],
  quantization: ["calibration", "training"],
  pruning: ["calibration", "evaluation", "quantization", "scoring"],
  evaluation: ["quantization"],
  scoring: ["calibration", "evaluation"],
  planning: ["scoring"],
  training: ["calibration"],
  pipeline: ["bench"],
  "compress-entry": ["plan-entry"],
};

/** First path segment without the extension: the room a file lives in. */
const roomOf = (file: string) => file.split("/")[0].replace(/\.ts$/, "");
const floorOf = (room: string) => FLOORS.findIndex((rooms) => rooms.includes(room));

/** Every import of a file of src from another room: [file, target]. */
const ACROSS = SOURCE_FILES.flatMap((file) =>
  importsOf(textOf(file))
    .filter(({ module }) => module.startsWith("."))
    .map(({ module }) => [file, resolveImport(file, module)] as const)
    .filter(([, target]) => roomOf(target) !== roomOf(file)),
);

describe("layout", () => {
  it("knows every room", () => {
    expect(SOURCE_FILES.length).toBeGreaterThan(50);
    expect(SOURCE_FILES.filter((file) => floorOf(roomOf(file)) < 0)).toEqual([]);
  });

  it("looks downstairs only", () => {
    const upward = ACROSS.filter(([file, target]) => floorOf(roomOf(target)) > floorOf(roomOf(file)));
    expect(upward.map(([file, target]) => `${file} -> ${target}`)).toEqual([]);
  });

  it("looks at the neighbours that it may look at", () => {
    const beside = ACROSS.filter(([file, target]) => floorOf(roomOf(target)) === floorOf(roomOf(file)));
    const breaches = beside.filter(([file, target]) => !NEIGHBOURS[roomOf(file)]?.includes(roomOf(target)));
    expect(breaches.map(([file, target]) => `${file} -> ${target}`)).toEqual([]);
    const used = new Set(beside.map(([file, target]) => `${roomOf(file)} -> ${roomOf(target)}`));
    const stated = Object.entries(NEIGHBOURS).flatMap(([room, others]) => others.map((other) => `${room} -> ${other}`));
    expect(stated.filter((edge) => !used.has(edge))).toEqual([]);
  });

  it("has no rooms that look at each other in a circle", () => {
    const seenFrom = (room: string): string[] =>
      (NEIGHBOURS[room] ?? []).flatMap((other) => [other, ...seenFrom(other)]);
    // A circle would end in a stack overflow; a room that sees itself is the same fault one step earlier.
    expect(Object.keys(NEIGHBOURS).filter((room) => seenFrom(room).includes(room))).toEqual([]);
  });
});
