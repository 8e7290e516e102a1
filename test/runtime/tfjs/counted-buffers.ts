import * as tf from "@tensorflow/tfjs-core";

type Infos = ReturnType<typeof tf.engine>["state"]["tensorInfo"];
type Info = Infos extends WeakMap<WeakKey, infer T> ? T : never;

/**
 * Bytes of the buffers that tensors lie in. `tf.memory().numBytes` counts a tensor that shares another's buffer (a
 * reshaped one) as new bytes; here each buffer counts once.
 */
export class CountedBuffers extends WeakMap<object, Info> {
  /** Bytes of the buffers that are there. */
  live = 0;
  /** The most that were there at a time since `restart`. */
  peak = 0;

  /** Takes the place of the engine's own table, which it goes on from. */
  install(): void {
    const { state } = tf.engine();
    if (state.tensorInfo === this) return;
    this.earlier = state.tensorInfo;
    Object.assign(state, { tensorInfo: this });
  }

  /** Begins to look for a new peak; returns the bytes that are there. */
  restart(): number {
    this.peak = this.live;
    return this.live;
  }

  override has(id: object): boolean {
    return super.has(id) || this.earlier.has(id);
  }

  override get(id: object): Info | undefined {
    return super.get(id) ?? this.earlier.get(id);
  }

  override set(id: object, info: Info): this {
    this.live += info.bytes;
    this.peak = Math.max(this.peak, this.live);
    return super.set(id, info);
  }

  override delete(id: object): boolean {
    this.live -= super.get(id)?.bytes ?? 0;
    return super.delete(id) || this.earlier.delete(id);
  }

  private earlier: Infos = new WeakMap();
}
