// Products of packed matrices with rows of floats on all threads of a pool: what an engine offers outside of models.
#pragma once
#include "../kernels/device-kernels.h"
#include "argument-path.h"
#include "thread-pool.h"

namespace layerwise {

/** y [rows, w.rows] = x [rows, w.cols] W^T in f32. */
void product(const DeviceKernels& kernels, ThreadPool& pool, const PackedMatrix& w, const float* x, int32_t rows,
             float* y);

/** dx [rows, w.cols] = dy [rows, w.rows] W in f32. */
void productTransposed(const DeviceKernels& kernels, ThreadPool& pool, const PackedMatrix& w, const float* dy,
                       int32_t rows, float* dx);

/** y = x W^T with rows quantized to 8 bits a chunk; integer kinds only. */
void productInt8(const DeviceKernels& kernels, ThreadPool& pool, const PackedMatrix& w, const float* x, int32_t rows,
                 float* y);

/** Rows of `cols` elements that an array of `length` is; throws std::invalid_argument where it is no whole rows. */
int32_t wholeRows(const Path& path, int64_t length, int64_t cols);

/** Bytes per second at which all threads read `bytes` bytes, best of a few passes. */
double readBandwidth(const DeviceKernels& kernels, ThreadPool& pool, int64_t bytes);

}  // namespace layerwise
