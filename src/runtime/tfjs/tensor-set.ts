import type { Tensor } from "@tensorflow/tfjs-core";

/** Tensors that live and end together. */
export class TensorSet {
  private readonly tensors: Tensor[] = [];

  /** Makes a tensor part of the set and returns it. */
  add<T extends Tensor>(tensor: T): T {
    this.tensors.push(tensor);
    return tensor;
  }

  dispose(): void {
    for (const tensor of this.tensors.splice(0)) tensor.dispose();
  }
}
