import path from "node:path";
import { describe, expect, it } from "vitest";
import { chooseDecode, type DecodeRequest } from "../../src/decoding/choose-decode.ts";
import { type OpenModel, openModel } from "../../src/decoding/open-model.ts";
import * as layerwise from "../../src/index.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { makeStories, makeStoriesWithExits } from "./artifact-with-exits.ts";

const base = temporaryFolder();

/** Runs `work` with the artifact of the stories, with or without exits. */
async function withModel(exits: boolean, executor: "native" | "tfjs", work: (model: OpenModel) => Promise<void>) {
  const folder = path.join(base, exits ? "exits" : "none");
  if (exits) await made.exits();
  else await made.none();
  await using model = await openModel(folder, { executor, threads: 1 });
  await work(model);
}

/** Artifacts made once. */
const made = {
  exits: once(() => makeStoriesWithExits(path.join(base, "exits"))),
  none: once(() => makeStories(path.join(base, "none"))),
};

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= make();
    return result;
  };
}

describe("how a model decodes", () => {
  it.skipIf(!HAS_ADDON)(needsAddon("is DSSD where exits are there and the text is plain decoding's own"), async () => {
    await withModel(true, "native", async (model) => {
      const chosen = await chooseDecode(model);
      expect(chosen).toMatchObject({ kind: "dssd", firstExit: 0, draftLimit: 2, adapt: true });
      expect(await chooseDecode(model, {}, { temperature: 0.7, topK: 1 })).toMatchObject({ kind: "dssd" });
      expect(await chooseDecode(model, {}, { temperature: 0.7 })).toEqual({ kind: "plain" });
    });
    await withModel(false, "native", async (model) => {
      expect(await chooseDecode(model)).toEqual({ kind: "plain" });
    });
  });

  it("is plain on tfjs, whose numbers depend on the batch, unless exits are asked for", async () => {
    await withModel(true, "tfjs", async (model) => {
      expect(await chooseDecode(model)).toEqual({ kind: "plain" });
      expect(await chooseDecode(model, { epsilon: 0.95 })).toMatchObject({ kind: "dssd", epsilon: 0.95 });
      expect(await chooseDecode(model, { adapt: false })).toMatchObject({ kind: "dssd", adapt: false });
      const drawn = await chooseDecode(model, { kind: "dssd", draftLimit: 3 }, { temperature: 1 });
      // What draws take must not depend on measured times.
      expect(drawn).toMatchObject({ draftLimit: 3, adapt: false });
      const early = await chooseDecode(model, { kind: "early-exit" });
      expect(early).toMatchObject({ kind: "early-exit", epsilon: 0.9 });
      expect(early.kind === "plain" ? [] : early.exits.exits.map(({ head }) => head)).toEqual(["exit.1", "exit.2"]);
      expect(await chooseDecode(model, { kind: "plain" })).toEqual({ kind: "plain" });
    });
  });

  it("refuses what the exits were not made for, in one line", async () => {
    await withModel(true, "tfjs", async (model) => {
      const refusals: [DecodeRequest, string, string][] = [
        [{ epsilon: 0.99 }, "EPSILON", "epsilon: expected a number from 0 to 0.95, found 0.99"],
        [{ epsilon: Number.NaN }, "EPSILON", "found NaN"],
        [{ draftLimit: 33 }, "DRAFT_LIMIT", "draft-limit: expected a whole number from 1 to 32, found 33"],
        [{ kind: "plain", epsilon: 0.8 }, "DECODE", "epsilon: expected decode early-exit or dssd, found plain"],
        [{ kind: "plain", adapt: true }, "DECODE", "adapt: expected decode dssd, found plain"],
        [{ kind: "early-exit", draftLimit: 4 }, "DECODE", "draft-limit: expected decode dssd, found early-exit"],
        [{ kind: "plain", vote: "max" }, "DECODE", "vote: expected decode vote, found plain"],
        [{ vote: "weighted" }, "VOTE_WEIGHTS", "vote: expected weights for weighted, found none"],
        [{ vote: "max", voteWeights: [1, 1, 1] }, "VOTE_WEIGHTS", "expected --vote weighted, found max"],
        [{ voteWeights: [1, 1] }, "VOTE_WEIGHTS", "expected 3 numbers from 0 up, not all 0, found 1,1"],
        [{ voteWeights: [1, -1, 1] }, "VOTE_WEIGHTS", "found 1,-1,1"],
        [{ voteWeights: [0, 0, 0] }, "VOTE_WEIGHTS", "found 0,0,0"],
        [{ voteWeights: [1, Number.NaN, 1] }, "VOTE_WEIGHTS", "found 1,NaN,1"],
        [{ exitsAt: [2, 1] }, "EXITS_AT", "exits-at: expected rising numbers of blocks from 1 to 4, found 2,1"],
        [{ exitsAt: [5] }, "EXITS_AT", "from 1 to 4, found 5"],
        [{ exitsAt: [1.5] }, "EXITS_AT", "found 1.5"],
      ];
      for (const [request, code, message] of refusals) {
        await expect(chooseDecode(model, request)).rejects.toMatchObject({
          code,
          message: expect.stringContaining(message),
        });
      }
    });
  });

  it("votes as asked: by the model's own head at blocks, by weights where there are some", async () => {
    await withModel(true, "tfjs", async (model) => {
      expect(await chooseDecode(model, { kind: "vote" })).toMatchObject({ vote: "max", weights: null });
      const shared = await chooseDecode(model, { exitsAt: [1, 3] });
      const exits = [1, 3].map((blocks) => ({ blocks, head: "output" }));
      expect(shared).toEqual({ kind: "vote", vote: "max", weights: null, exits: { exits, ids: null } });
      const weighed = await chooseDecode(model, { voteWeights: [1, 0, 2] });
      expect(weighed).toMatchObject({ kind: "vote", vote: "weighted", weights: [1, 0, 2] });
    });
  });

  it("is all that a user of the library needs to decode with exits", async () => {
    await withModel(true, "tfjs", async (model) => {
      const texts: string[] = [];
      for (const request of [{ kind: "plain" }, { kind: "dssd", adapt: false }] as const) {
        using session = model.createSession();
        const decode = await layerwise.chooseDecode(model, request);
        const ids = model.tokenizer.encode("Once upon a time");
        let text = "";
        for await (const piece of layerwise.generate(session, model.tokenizer, ids, { maxTokens: 12, decode })) {
          text += piece.text;
        }
        texts.push(text);
      }
      expect(texts[0]).toMatch(/^, there was a/);
      expect(texts[1]).toBe(texts[0]);
    });
  });

  it("says how to get exits where there are none", async () => {
    const refusal = (hint: string) => ({ code: "NO_EXITS", hint: expect.stringContaining(hint) });
    await withModel(false, "tfjs", async (model) => {
      for (const request of [{ kind: "dssd" }, { kind: "early-exit" }, { epsilon: 0.8 }] as const) {
        const hint = `layerwise exits ${model.folder} makes them`;
        await expect(chooseDecode(model, request)).rejects.toMatchObject(refusal(hint));
      }
    });
    await using checkpoint = await openModel(STORIES, { executor: "tfjs", threads: 1 });
    await expect(chooseDecode(checkpoint, { kind: "dssd" })).rejects.toMatchObject(refusal("compress it"));
  });
});
