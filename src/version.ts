/** Version of the tool; part of every step key and of the provenance. A test holds it equal to package.json's. */
export const TOOL_VERSION = "0.1.0";
