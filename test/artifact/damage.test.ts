import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { UserError } from "../../src/errors.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { changeAt, changeFile, copyArtifact, leavesOf, lieInManifest } from "./damage.ts";
import { makeArtifact, SMALL_FILES } from "./make-artifact.ts";

const base = temporaryFolder();
const good = path.join(base, "good");
const bad = path.join(base, "bad");
const WEIGHTS = "weights-00002-of-00003.safetensors";

beforeAll(async () => {
  await makeArtifact(base, "good", { maxFileBytes: SMALL_FILES });
  expect(readdirSync(good)).toContain(WEIGHTS);
});

/** What opening the damaged copy says: the error's message, which must be a UserError's, or "opened". */
async function opening(): Promise<string> {
  try {
    await (await openArtifact(bad)).close();
    return "opened";
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    expect(error.message).not.toContain("\n");
    return error.message;
  }
}

type Lie = readonly [name: string, keys: readonly (string | number)[], value: unknown, message: RegExp];

const LIES: readonly Lie[] = [
  ["a later format", ["formatVersion"], 4, /formatVersion: expected 2 or 3, found 4/],
  ["an unknown field's value", ["exits"], [1], /exits/],
  ["a larger vocabulary", ["spec", "vocabSize"], 9000, /expected/],
  ["a vocabulary beyond all bounds", ["spec", "vocabSize"], 2 ** 53 - 1, /expected|bytes/],
  ["heads that do not fit", ["spec", "blocks", 0, "attention", "heads"], 3, /blocks\.0\.attention/],
  [
    "a matrix of another width",
    ["spec", "blocks", 1, "mlp", "down", "cols"],
    71,
    /blocks\.1\.mlp\.down\.cols: expected 72/,
  ],
  ["an odd rotary size", ["spec", "blocks", 0, "attention", "rope", "dims"], 11, /rope/],
  ["a special token outside", ["spec", "eosTokens"], [83], /below 83, found 83/],
  ["an unknown codec", ["plan", "units", 1, "codec"], "q4x", /codec: expected .*found "q4x"/],
  ["another codec", ["plan", "units", 1, "codec"], "q4s-g32", /plan: blocks\.0\.attn\.q: expected/],
  ["a unit of another size", ["plan", "units", 0, "bytes"], 64, /plan: embedding: expected .* found 64/],
  ["a unit of no matrix", ["plan", "units", 0, "id"], "embeding", /embedding has no codec/],
  ["a tensor elsewhere", ["tensors", 3, "offset"], 64, /tensors\.3: expected/],
  ["a tensor of another file", ["tensors", 3, "file"], WEIGHTS, /tensors\.3: expected/],
  ["no tensors", ["tensors"], [], /tensors: expected \d+, found 0/],
  ["a larger file", ["files", 0, "bytes"], 123, /files\.0: expected .* of 123 bytes/],
  ["a file outside the folder", ["files", 3, "name"], "../good/tokenizer.json", /plain file name/],
  ["a file twice", ["files", 4, "name"], "tokenizer.json", /twice/],
  ["a codec described otherwise", ["codecs", "q8s-row", "bits"], 4, /codecs/],
  ["less memory", ["plan", "memory", "fileBytes"], 5, /memory: expected \d+ bytes/],
  ["a hash that is none", ["tensors", 0, "sha256"], "abc", /64 hexadecimal digits/],
];

describe("a manifest that lies with its hash in order", () => {
  it.each(LIES)("is refused: %s", async (_, keys, value, message) => {
    copyArtifact(good, bad);
    lieInManifest(bad, (manifest) => changeAt(manifest, keys, () => value));
    expect(await opening()).toMatch(message);
    expect(await verifyArtifact(bad)).not.toEqual([]);
  });

  it("is refused with a field too much or too little", async () => {
    copyArtifact(good, bad);
    lieInManifest(bad, (manifest) => ({ ...manifest, extra: 1 }));
    expect(await opening()).toMatch(/extra/);
    lieInManifest(bad, (manifest) => ({ ...manifest, extra: undefined, spec: undefined }));
    expect(await opening()).toMatch(/spec/);
  });

  it("never leads to anything but a UserError or an equal model", async () => {
    const manifest: unknown = JSON.parse(readFileSync(path.join(good, "manifest.json"), "utf8"));
    const leaves = leavesOf(manifest).filter(([first]) => first !== "manifestSha256");
    const values = fc.oneof(
      fc.constantFrom(null, 0, -1, 1, 2 ** 31, 2 ** 53, 1e300, "", "x", true, [], {}, "__proto__"),
      fc.integer(),
      fc.double(),
      fc.jsonValue({ maxDepth: 2 }),
    );
    copyArtifact(good, bad);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...leaves), values, async (keys, value) => {
        let same = false;
        lieInManifest(bad, () =>
          changeAt(manifest, keys, (old) => {
            same = JSON.stringify(old) === JSON.stringify(value);
            return value;
          }),
        );
        // Only what no byte depends on may change unnoticed: provenance, the plan's story, numbers of the spec beside
        // shapes.
        if ((await opening()) === "opened" && !same) {
          expect(keys.join(".")).toMatch(
            /^(provenance|plan\.(allocator|scorer|budget|predicted|importance|memory|units\.\d+\.rule)|spec\.|tensors\.\d+\.sha256|files\.\d+\.sha256|maxFileBytes)/,
          );
        }
      }),
      { numRuns: 250 },
    );
  });
});

describe("a damaged folder", () => {
  const pointer = () => Buffer.from("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
  const damages: readonly (readonly [string, () => void, RegExp])[] = [
    ...["manifest.json", "tokenizer.json", WEIGHTS].map((name): [string, () => void, RegExp] => [
      `a Git LFS pointer for ${name}`,
      () => changeFile(bad, name, pointer),
      /expected .*, found a Git LFS pointer/,
    ]),
    ["no manifest", () => rmSync(path.join(bad, "manifest.json")), /manifest\.json: cannot read: no such file/],
    ["an empty manifest", () => changeFile(bad, "manifest.json", () => Buffer.alloc(0)), /expected JSON/],
    ["half a manifest", () => changeFile(bad, "manifest.json", (bytes) => bytes.subarray(0, 900)), /expected JSON/],
    [
      "a manifest edited by hand",
      () =>
        changeFile(bad, "manifest.json", (bytes) => Buffer.from(bytes.toString().replace('"seed": 7', '"seed": 8'))),
      /expected sha256 .* found/,
    ],
    [
      "a manifest without its hash",
      () =>
        changeFile(bad, "manifest.json", (bytes) =>
          Buffer.from(bytes.toString().replace("manifestSha256", "manifestSha512")),
        ),
      /manifestSha256 first/,
    ],
    [
      "a manifest that is a list",
      () => changeFile(bad, "manifest.json", () => Buffer.from("[]")),
      /formatVersion: expected 2 or 3, found none/,
    ],
    ["no weights file", () => rmSync(path.join(bad, WEIGHTS)), /no such file/],
    [
      "half a weights file",
      () => changeFile(bad, WEIGHTS, (bytes) => bytes.subarray(0, 6000)),
      /size: expected \d+ bytes, found 6000/,
    ],
    [
      "a longer weights file",
      () => changeFile(bad, WEIGHTS, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)])),
      /size/,
    ],
    [
      "another header",
      () =>
        changeFile(bad, WEIGHTS, (bytes) =>
          Buffer.from(bytes.toString("latin1").replace("attn.o", "attn.u"), "latin1"),
        ),
      /attn\.o|attn\.u/,
    ],
    [
      "a header of zeros",
      () => changeFile(bad, WEIGHTS, (bytes) => bytes.fill(0, 8, 4000)),
      /not a valid safetensors file/,
    ],
    ["no tokenizer", () => rmSync(path.join(bad, "tokenizer.json")), /tokenizer\.json: cannot read: no such file/],
    [
      "another tokenizer",
      () => changeFile(bad, "tokenizer.json", () => Buffer.from("{}")),
      /size: expected \d+ bytes, found 2/,
    ],
  ];

  it.each(damages)("is refused in one line: %s", async (name, damage, message) => {
    copyArtifact(good, bad);
    damage();
    expect(await opening()).toMatch(message);
    if (name === "no manifest") await expect(verifyArtifact(bad)).rejects.toThrow(UserError);
    else expect((await verifyArtifact(bad)).join(" ")).toMatch(message);
  });

  it("is not an artifact at all where it is another folder or a file", async () => {
    writeFileSync(path.join(base, "file"), "");
    for (const place of ["nowhere", "file"]) {
      await expect(openArtifact(path.join(base, place))).rejects.toThrow(UserError);
    }
  });
});

describe("verifyArtifact", () => {
  it("finds any changed byte of any file", async () => {
    const names = readdirSync(good);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (name, at, flip) => {
          copyArtifact(good, bad);
          changeFile(bad, name, (bytes) => {
            bytes[at % bytes.length] ^= flip;
            return bytes;
          });
          expect(await verifyArtifact(bad)).not.toEqual([]);
        },
      ),
      { numRuns: 40 },
    );
    expect(await verifyArtifact(good)).toEqual([]);
  });

  it("names the tensor and the file", async () => {
    copyArtifact(good, bad);
    changeFile(bad, "weights-00001-of-00003.safetensors", (bytes) => {
      bytes[4096] ^= 1;
      return bytes;
    });
    const findings = await verifyArtifact(bad);
    expect(findings).toHaveLength(2);
    expect(findings[0]).toMatch(/tensor embedding: expected sha256/);
    expect(findings[1]).toMatch(/weights-00001-of-00003\.safetensors: expected sha256/);
  });

  it("computes the memory sum anew", async () => {
    copyArtifact(good, bad);
    lieInManifest(bad, (manifest) => changeAt(manifest, ["plan", "memory", "modelBytes"], () => 1));
    expect(await verifyArtifact(bad)).toEqual([
      expect.stringMatching(/^memory sum: modelBytes: expected \d{4,} bytes, found 1 bytes$/),
    ]);
    copyArtifact(good, bad);
    lieInManifest(bad, (manifest) => changeAt(manifest, ["plan", "memory", "items"], () => []));
    expect(await verifyArtifact(bad)).toEqual([
      expect.stringMatching(/^memory sum: embedding: levels: expected \d+ bytes, found none$/),
    ]);
  });

  const STRANGERS: readonly (readonly [name: string, put: (file: string) => void])[] = [
    ["exits.safetensors", (file) => writeFileSync(file, "")],
    ["added_tokens.json", (file) => writeFileSync(file, "{}")],
    ["vocab.json", (file) => writeFileSync(file, "{}")],
    ["merges.txt", (file) => writeFileSync(file, "")],
    ["Tokenizer.JSON", (file) => writeFileSync(file, "{}")],
    ["weights-00009-of-00009.safetensors", (file) => writeFileSync(file, "")],
    ["inside/chat_template.jinja", (file) => writeFileSync(file, "")],
    ["a link", (file) => symlinkSync("nowhere", file)],
    ["inside/a link to a folder", (file) => symlinkSync("..", file)],
    ["tokenizer.model", (file) => symlinkSync(path.resolve("examples/stories260k/tokenizer.json"), file)],
  ];

  it.each(STRANGERS)("finds what the manifest does not list and somebody would read: %s", async (name, put) => {
    copyArtifact(good, bad);
    const file = path.join(bad, name);
    mkdirSync(path.dirname(file), { recursive: true });
    put(file);
    expect(await verifyArtifact(bad)).toEqual([
      expect.stringMatching(/^[^\n]+: expected no file beside those of the manifest, found (one|a link)$/),
    ]);
    expect((await verifyArtifact(bad))[0]).toContain(`${file}: `);
  });

  it("lets be what is for people, and links to the very files", async () => {
    copyArtifact(good, bad);
    for (const name of ["README.md", "LICENSE", ".gitattributes"]) writeFileSync(path.join(bad, name), "x");
    mkdirSync(path.join(bad, ".cache"));
    writeFileSync(path.join(bad, ".cache", "download.json"), "{}");
    rmSync(path.join(bad, WEIGHTS));
    symlinkSync(path.join(good, WEIGHTS), path.join(bad, WEIGHTS));
    expect(await verifyArtifact(bad)).toEqual([]);
  });

  it("reports its progress and stops on request", async () => {
    const seen: number[] = [];
    await verifyArtifact(good, { onProgress: ({ done }) => seen.push(done) });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5]);
    await expect(verifyArtifact(good, { signal: AbortSignal.abort() })).rejects.toThrow(/stopped/);
  });
});
