#pragma once

// The launch functions of the portable kernels. One source, one definition a vendor: nvcc gives the one for `cuda`, clang as HIP that for `hip`.

#include "ops/catalogue.h"

namespace attune::gpu {

/// Split-KV attention with the reference's full domain. Every pointer of the params is the device's; lengths are not read on the host.
template <DeviceKind Kind>
void attention_split_kv(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);

/// Throws DeviceError: the runtime refused a launch of `kernel` with this text. Defined for the host compiler: nvcc cannot read fmt.
[[noreturn]] void launch_failed(std::string_view kernel, const char* text);

}  // namespace attune::gpu
