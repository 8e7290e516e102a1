import { UserError } from "../../errors.ts";
import { defineCommand } from "../command.ts";

/** `layerwise verify`: every checksum, length and the memory sum of an artifact. */
export const verifyCommand = defineCommand({
  command: "verify <artifact>",
  describe: "Check every checksum, length and the memory sum of an artifact",
  examples: [["verify outputs/smollm2/artifact", "exit status 1 if anything is wrong"]],
  options: (yargs) =>
    yargs.positional("artifact", { type: "string", demandOption: true, describe: "Artifact or run folder" }),
  async run(args, terminal) {
    const { findModel } = await import("../../decoding/find-model.ts");
    const { verifyArtifact } = await import("../../artifact/verify.ts");
    const found = await findModel(args.artifact);
    if (found.kind !== "artifact") {
      throw new UserError(
        "NOT_AN_ARTIFACT",
        `${args.artifact}: expected an artifact, found a checkpoint`,
        "layerwise inspect reads checkpoints",
      );
    }
    const { signal, onProgress } = terminal;
    const report = await verifyArtifact(found.folder, { signal, onProgress });
    terminal.document({ artifact: found.folder, ok: report.length === 0, findings: report });
    for (const finding of report) terminal.print(String(finding));
    if (report.length > 0)
      throw new UserError(
        "VERIFY_FAILED",
        `${found.folder}: ${report.length} ${report.length === 1 ? "finding" : "findings"}`,
        "make the artifact again",
      );
    terminal.print(`${found.folder}: ok`);
  },
});
