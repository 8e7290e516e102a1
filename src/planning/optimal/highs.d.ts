/**
 * What we use of highs 1.15. Its own declarations describe the CommonJS build, whose default export is wrapped once
 * more than that of the ES module which Node and bundlers load.
 */
declare module "highs" {
  interface ModelData {
    readonly numCols: number;
    readonly numRows: number;
    /** 1: minimise. */
    readonly sense: 1 | -1;
    readonly offset: number;
    readonly colCost: readonly number[];
    readonly colLower: readonly number[];
    readonly colUpper: readonly number[];
    readonly rowLower: readonly number[];
    readonly rowUpper: readonly number[];
    /** 0 continuous, 1 whole. */
    readonly integrality: readonly (0 | 1)[];
    /** Columns one after the other: entries [starts[j], starts[j + 1]) are column j's. */
    readonly matrix: {
      readonly format: "csc";
      readonly numRows: number;
      readonly numCols: number;
      readonly starts: readonly number[];
      readonly indices: readonly number[];
      readonly values: readonly number[];
    };
  }
  interface Model {
    readonly options: { set(values: Readonly<Record<string, string | number | boolean>>): void };
    run(): void;
    getModelStatus(): number;
    getSolution(): { readonly colValue: Float64Array };
  }
  interface Highs {
    readonly infinity: number;
    readonly constants: { readonly modelStatus: { readonly optimal: number; readonly infeasible: number } };
    /** Disposes the model when `operation` returns. */
    withModel<Result>(source: ModelData, operation: (model: Model) => Result): Result;
  }
  export default function load(): Promise<Highs>;
}
