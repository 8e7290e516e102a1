import { UserError } from "../errors.ts";

/** The error for an artifact that is not what it says: `what` reads "<where>: expected …, found …". */
export function badArtifact(label: string, what: string): UserError {
  return new UserError("BAD_ARTIFACT", `${label}: ${what}`, "copy the artifact again, or make it again");
}
