#include "kernels/cuda/attention_host.h"

#include "core/error.h"
#include "kernels/cuda/current_device.h"
#include "kernels/cuda/tensor_map.h"

namespace attune::cuda {

void check(std::string_view kernel, cudaError_t error) {
  if (error != cudaSuccess) fail(ErrorCode::device_error, kernel, "success", cudaGetErrorString(error));
}

int multiprocessors(std::string_view kernel) {
  static PerDevice<int> counts;
  const int device = current_device(kernel);
  return counts.of(device, [&] {
    int n = 0;
    check(kernel, cudaDeviceGetAttribute(&n, cudaDevAttrMultiProcessorCount, device));
    return n;
  });
}

CUtensorMap pool_map(std::string_view kernel, const AttentionDesc& d, const void* data, int64_t num_blocks, int box) {
  const int64_t columns = d.head_dim * static_cast<int64_t>(size_of(d.kv_dtype)) / 2;
  if (!is_mappable(data, columns)) fail(ErrorCode::invalid_argument, kernel, "K and V that start at a multiple of 16 bytes", "others");
  return matrix_map(data, DType::bf16, num_blocks * d.num_kv_heads * d.block_size, columns, columns, box);
}

void start_overlapped(std::string_view kernel, const void* form, int64_t blocks, int threads, int shared, void** arguments, cudaStream_t stream) {
  cudaLaunchAttribute overlap = {};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = dim3(static_cast<unsigned>(blocks)), config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = static_cast<size_t>(shared), config.stream = stream;
  config.attrs = &overlap, config.numAttrs = 1;
  check(kernel, cudaLaunchKernelExC(&config, form, arguments));
}

}  // namespace attune::cuda
