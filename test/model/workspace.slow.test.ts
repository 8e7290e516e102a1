import { describeWorkspace } from "./workspace-cases.ts";

// Plain JavaScript takes minutes for what the other backends do in seconds.
describeWorkspace(["cpu"]);
