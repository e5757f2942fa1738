#pragma once

// The launch functions of the portable kernels. One source, one definition a vendor: nvcc gives the one for `cuda`, clang as HIP that for `hip`.

#include "ops/catalogue.h"

namespace attune::gpu {

/// Split-KV attention with the reference's full domain. Every pointer of the params is the device's; lengths are not read on the host.
template <DeviceKind Kind>
void attention_split_kv(const ExecContext& ctx, const AttentionDesc& desc, const AttentionParams& params);

/// The other ops, each with its reference's full domain; every pointer of the params is the device's, those inside of a SampleRow too. Norms'
/// weights and rope_kv_write's frequencies may be read before the launches that precede in the stream have finished: none of those may write them.
template <DeviceKind Kind>
void matmul_plain(const ExecContext& ctx, const MatmulDesc& desc, const MatmulParams& params);
template <DeviceKind Kind>
void norm_rows(const ExecContext& ctx, const NormDesc& desc, const NormParams& params);
template <DeviceKind Kind>
void rope_pairs(const ExecContext& ctx, const RopeDesc& desc, const RopeParams& params);
template <DeviceKind Kind>
void rope_kv_write_heads(const ExecContext& ctx, const RopeKvWriteDesc& desc, const RopeKvWriteParams& params);
template <DeviceKind Kind>
void activation_elementwise(const ExecContext& ctx, const ActivationDesc& desc, const ActivationParams& params);
template <DeviceKind Kind>
void embed_rows(const ExecContext& ctx, const EmbedDesc& desc, const EmbedParams& params);
template <DeviceKind Kind>
void kv_write_paged(const ExecContext& ctx, const KvWriteDesc& desc, const KvWriteParams& params);
template <DeviceKind Kind>
void sample_rows(const ExecContext& ctx, const SampleDesc& desc, const SampleParams& params);

/// Throws DeviceError: the runtime refused a launch of `kernel` with this text. Defined for the host compiler: nvcc cannot read fmt.
[[noreturn]] void launch_failed(std::string_view kernel, const char* text);

}  // namespace attune::gpu
