import { defineCommand } from "../command.ts";

/** `layerwise adapt`: an adapter beside the packed weights of an artifact that exists. */
export const adaptCommand = defineCommand({
  command: "adapt <target> <adapter>",
  describe: "Add a PEFT adapter (LoRA) to an artifact, beside its packed weights, in place of any that it has",
  examples: [
    ["adapt outputs/smollm2/artifact adapters/poems", "every pass has it from then on; inspect shows what it takes"],
    ["adapt outputs/smollm2/artifact adapters/poems --type F32", "its numbers as they are, in twice the bytes"],
  ],
  options: (yargs) =>
    yargs
      .positional("target", { type: "string", demandOption: true, describe: "Artifact, or run folder that holds one" })
      .positional("adapter", {
        type: "string",
        demandOption: true,
        describe: "Folder with adapter_config.json and adapter_model.safetensors",
      })
      .option("type", {
        choices: ["F16", "F32"] as const,
        default: "F16" as const,
        describe: "How its numbers are stored",
      })
      .option("over-budget", {
        type: "boolean",
        describe: "Also where the model with it takes more than it was planned for",
      }),
  async run({ target, adapter, type, overBudget }, terminal) {
    const { adaptArtifact } = await import("../../pipeline/adapt.ts");
    const { adapterText } = await import("../text/adapter-text.ts");
    const { signal } = terminal;
    const options = { dtype: type, overBudget: overBudget ?? false, signal };
    const adapted = await adaptArtifact(target, adapter, options);
    terminal.print(adapterText(adapted.adapter, adapted.memory));
    terminal.print(`artifact: ${adapted.artifact}`);
    terminal.document(adapted);
  },
});
