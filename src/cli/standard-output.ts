import fs from "node:fs";
import { fileError } from "../formats/files.ts";
import { EXIT } from "./exit-status.ts";

/**
 * Makes the program end with a message and a status of its own where standard output cannot be written, and quietly
 * where its reader has gone (`layerwise run … | head -1`). Messages on standard error that cannot be written are lost;
 * the result need not be.
 */
export function guardStandardStreams(): void {
  writeWholly(process.stdout);
  process.stdout.on("error", leaveWithoutOutput);
  process.stderr.on("error", () => undefined);
}

/** Ends the process once all output is written: whatever else is alive, such as threads of a backend, ends with it. */
export function leaveOnceWritten(exitCode: number): void {
  // An earlier write that failed is told here, where its own event has not come yet.
  process.stdout.write("", (error) => {
    if (error) leaveWithoutOutput(process.stdout.errored ?? error);
    process.exit(exitCode);
  });
}

/** Node's own stream of a file takes a write that the disk could take half of for a whole one. */
export function writeWholly(stream: NodeJS.WriteStream & { readonly fd: number }): void {
  const kind = fs.fstatSync(stream.fd);
  if (!kind.isFile() && (!kind.isCharacterDevice() || stream.isTTY)) return;
  stream._write = (chunk: Uint8Array, _encoding, done) => {
    try {
      for (let at = 0; at < chunk.length; ) at += fs.writeSync(stream.fd, chunk, at);
      done();
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  };
}

function leaveWithoutOutput(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`layerwise: ${fileError(error, "standard output", "write").message}\n`);
  process.exit(EXIT.userError);
}
