#pragma once

#include "attune/engine.h"
#include "engine/load.h"
#include "engine/model_runner.h"
#include "models/builder.h"

namespace attune {

/// What a step holds at most.
ModelRunner::Limits runner_limits(const EngineOptions& options, DeviceKind device, int64_t max_model_len, int64_t vocab);

/// Bytes that the weights of the model will take on a device, before any of them is read or any memory of the device asked for.
int64_t stored_weight_bytes(const ModelConfig& config, const Weights& weights, bool dummy, DType dummy_dtype, const LoadOptions& options);

/// The memory that KV pages may take.
struct PageMemory {
  int64_t bytes = 0;     ///< negative: what is there already takes more than it may
  std::string reckoned;  ///< how they came about, where that is not an option alone
  std::string raise;     ///< the option that gives more, empty where the device has no more
};

/// As --kv-cache-memory-bytes says; else a quarter of the machine's memory, or what --gpu-memory-utilization leaves on a GPU beside what is taken and
/// `scratch`, which is made after the pages. `needed`: bytes that somebody wants.
PageMemory page_memory(const EngineOptions& options, Device& device, int64_t scratch, int64_t needed);

/// Bytes of the device that are made after the pages: rows of logits, inputs, the kernels' workspace, and what the driver takes for graphs.
int64_t scratch_bytes(const ModelRunner::Limits& limits, int64_t block_size, int64_t workspace, bool graphs);

}  // namespace attune
