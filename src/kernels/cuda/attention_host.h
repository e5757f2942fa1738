#pragma once

// What the host sides of this folder's attention kernels share.

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>
#include <string_view>

#include "ops/attention.h"

namespace attune::cuda {

/// DeviceError in the kernel's name unless the runtime took the call.
void check(std::string_view kernel, cudaError_t error);

/// Of the current device when it is first asked.
int multiprocessors(std::string_view kernel);

/// K or V of the page pool as a matrix of one row a (block, head, slot), of 16-bit elements whatever its type, read in boxes of so many rows.
CUtensorMap pool_map(std::string_view kernel, const AttentionDesc& d, const void* data, int64_t num_blocks, int box);

/// Starts `form` so that it may begin while the launch before it ends.
void start_overlapped(std::string_view kernel, const void* form, int64_t blocks, int threads, int shared, void** arguments, cudaStream_t stream);

}  // namespace attune::cuda
