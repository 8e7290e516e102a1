import { describe, expect, it } from "vitest";
import { ROLES } from "../../src/model/matrix-id.ts";
import { ADDON_STATE, HAS_ADDON, theAddon } from "./engines.ts";

describe.skipIf(!HAS_ADDON)(`roles of the ${ADDON_STATE}`, () => {
  it("are those of the model, in its order", () => {
    expect(theAddon().roles).toEqual(ROLES);
  });
});
