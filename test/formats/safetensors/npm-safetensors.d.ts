/** The part of the npm package that tests compare with; it ships no types. */
declare module "safetensors" {
  export class SafeTensor {
    constructor(buffer: Uint8Array);
    readonly metadata: Map<string, { dtype: string; shape: number[]; data_offsets: number[] }>;
    getTensor(name: string): Uint8Array;
  }
}
