import type { ConfigReader } from "../config-reader.ts";

/** What a family does with the window fields: transformers' defaults where a config leaves them out. */
export interface WindowFields {
  /** `use_sliding_window` where absent. */
  readonly used: boolean;
  /** `sliding_window` where the key is absent; null means none. */
  readonly window: number | null;
  /** `max_window_layers` where absent: the window holds from this block on; null where the family has no such field. */
  readonly fromLayer: number | null;
}

/** Sliding window of each block, null where it attends to everything. `layer_types` decides where it is present. */
export function readWindows(config: ConfigReader, layers: number, family: WindowFields): (number | null)[] {
  const types = layerTypes(config, layers);
  const window = readWindow(config, family);
  const from = firstWindowLayer(config, family.fromLayer);
  if (types) {
    if (window === null && types.includes("sliding_attention")) {
      config.refuse("layer_types", "no sliding_attention without a sliding_window in use");
    }
    return types.map((type) => (type === "sliding_attention" ? window : null));
  }
  return Array.from({ length: layers }, (_, i) => (i >= from ? window : null));
}

/**
 * For families whose attention has no window: null for each block. A `sliding_window` means nothing there, as in
 * transformers; blocks that `layer_types` calls sliding are refused.
 */
export function noWindows(config: ConfigReader, layers: number): null[] {
  if (layerTypes(config, layers)?.includes("sliding_attention")) {
    config.refuse("layer_types", "full_attention for each block (this family's attention has no window)");
  }
  return Array.from({ length: layers }, () => null);
}

/**
 * For families that say which blocks have the window by `layer_types` or, before, one block in `pattern` without it.
 */
export function readPatternWindows(
  config: ConfigReader,
  layers: number,
  { window, pattern }: { readonly window: number; readonly pattern: number },
): (number | null)[] {
  const size = config.count("sliding_window", window);
  const every = config.count("sliding_window_pattern", config.count("_sliding_window_pattern", pattern));
  const types = layerTypes(config, layers);
  return Array.from({ length: layers }, (_, i) => {
    const sliding = types ? types[i] === "sliding_attention" : (i + 1) % every !== 0;
    return sliding ? size : null;
  });
}

function readWindow(config: ConfigReader, family: WindowFields): number | null {
  const stated = config.raw("sliding_window") === undefined ? null : config.count("sliding_window");
  if (!config.flag("use_sliding_window", family.used)) return null;
  return config.keys.includes("sliding_window") ? stated : family.window;
}

function firstWindowLayer(config: ConfigReader, fallback: number | null): number {
  if (fallback === null) return 0;
  // 0 is a legal value: every block has the window.
  return config.raw("max_window_layers") === 0 ? 0 : config.count("max_window_layers", fallback);
}

function layerTypes(config: ConfigReader, layers: number): string[] | null {
  const value = config.raw("layer_types");
  if (value === undefined) return null;
  const expected = `${layers} times full_attention or sliding_attention`;
  if (!Array.isArray(value) || value.length !== layers) return config.refuse("layer_types", expected);
  return value.map((type: unknown) =>
    type === "full_attention" || type === "sliding_attention" ? type : config.refuse("layer_types", expected),
  );
}
