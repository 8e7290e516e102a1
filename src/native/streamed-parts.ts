/** Bytes of a file that passes read when they come to them. */
export interface NativeStreamedPart {
  readonly file: string;
  /** A multiple of 4096. */
  readonly offset: number;
  readonly bytes: number;
  /**
   * Where they are read to: from a multiple of 4096, with room for whole pages. Parts of one buffer take turns in it:
   * two buffers in turns let the next part be read while one is computed with.
   */
  readonly buffer: Uint8Array;
}

export interface NativeStreamState {
  readonly readBytes: number;
  /** How long passes waited for the disk. */
  readonly waitedMs: number;
  /** Why the last part that could not be read could not; code `ESHORT`: the file ends before. */
  readonly failure: {
    readonly file: string;
    readonly code: string;
    readonly expectedBytes: number;
    readonly foundBytes: number;
  } | null;
}
