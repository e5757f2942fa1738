// The page of the gpu backend: portable kernels, one entry a vendor, since a need names one kind of device and its code objects.
#include "kernels/gpu/catalogue.h"

#include "build_info.h"
#include "kernels/gpu/attention_plan.h"
#include "kernels/gpu/kernels.h"
#include "kernels/gpu/matmul_plan.h"
#include "kernels/gpu/norm_plan.h"
#include "kernels/gpu/rope_kv_write_plan.h"
#include "kernels/gpu/sample_plan.h"

namespace attune {
namespace {

constexpr DeviceNeed kCuda{.kind = DeviceKind::cuda, .arch = one_of({Arch::sm90a})};
constexpr DeviceNeed kHip{.kind = DeviceKind::hip, .arch = one_of({Arch::gfx90a, Arch::gfx942})};

// AMD code is compiled; what was emulated besides, on which architecture and how often, stands here (scripts/emulate_amd.py, docs/design/hip.md).
constexpr Mark mark_of(const DeviceNeed& need) { return need.kind == DeviceKind::cuda ? Mark::run : Mark::compiled; }
constexpr Emulated kEmulated[] = {
    {"gpu.kv_write.paged", Arch::gfx942, 3}, {"gpu.matmul.plain", Arch::gfx942, 4},           {"gpu.norm.rows", Arch::gfx942, 5},
    {"gpu.rope.pairs", Arch::gfx942, 2},     {"gpu.activation.elementwise", Arch::gfx942, 3}, {"gpu.embed.rows", Arch::gfx942, 2}};

// Both are one source without contraction or vendor math, hence one tag; so are the others below.
constexpr AttentionKernel attention_of(DeviceNeed need, AttentionKernel::Launch launch) {
  return {.info = {.name = "gpu.attention.split_kv",
                   .tier = Tier::portable,
                   .reduction = "chunk256.dot8.simt",
                   .device = need,
                   .graph = GraphLevel::mixed,  // numbers of the host are bounds; lengths are read on the device
                   .mark = mark_of(need),
                   .preferred_block_size = 64},
          .can = {.q_dtype = any,
                  .kv_dtype = any,
                  .out_dtype = any,
                  .num_kv_heads = any,
                  .gqa_group = any,
                  .head_dim = any,
                  .block_size = any,
                  .phase = any,
                  .kv_source = any,
                  .kv_layout = any,
                  .mask = any,
                  .ranges = flag,
                  .window = any,
                  .window_right = any,
                  .softcap = any,
                  .alibi = any,
                  .sinks = flag,
                  .q_scale = any,
                  .kv_scale = any,
                  .out_scale = flag,
                  .lse = flag},
          .shared_memory = gpu::attention_shared_memory,
          .workspace = gpu::attention_workspace,
          .launch = launch};
}
constexpr AttentionKernel kAttention[] = {
    attention_of(kCuda, built<build::kWithCuda, &gpu::attention_split_kv<DeviceKind::cuda>>()),
    attention_of(kHip, built<build::kWithRocm, &gpu::attention_split_kv<DeviceKind::hip>>()),
};

// The other ops. Rows (matmul: a row and a column) are reduced in an order that depends on the desc alone.
constexpr KernelInfo info_of(std::string_view name, std::string_view reduction, DeviceNeed need, int version = 1) {
  return {.name = name,
          .tier = Tier::portable,
          .version = version,
          .reduction = reduction,
          .device = need,
          .graph = GraphLevel::mixed,
          .mark = mark_of(need)};
}

constexpr MatmulKernel matmul_of(DeviceNeed need, MatmulKernel::Launch launch) {
  return {.info = info_of("gpu.matmul.plain", "k_lanes32.dot8.simt", need, 2),
          .can = {.x_dtype = any,
                  .w_dtype = any,
                  .out_dtype = any,
                  .n = any,
                  .k = any,
                  .rows = any,
                  .layout = any,
                  .segments = any,
                  .w_scale = any,
                  .x_scale = any,
                  .quantize = any,
                  .accumulate = any,
                  .bias = flag,
                  .activation = any,
                  .residual = flag,
                  .gated = flag},
          .shared_memory = gpu::matmul_shared_memory,
          .launch = launch};
}
constexpr MatmulKernel kMatmul[] = {
    matmul_of(kCuda, built<build::kWithCuda, &gpu::matmul_plain<DeviceKind::cuda>>()),
    matmul_of(kHip, built<build::kWithRocm, &gpu::matmul_plain<DeviceKind::hip>>()),
};

constexpr NormKernel norm_of(DeviceNeed need, NormKernel::Launch launch) {
  return {.info = info_of("gpu.norm.rows", "squares4.lanes32.simt", need, 3),
          .can = {.x_dtype = any, .w_dtype = any, .out_dtype = any, .hidden = any, .unit_offset = flag, .residual = flag},
          .shared_memory = gpu::norm_shared_memory,
          .launch = launch};
}
constexpr NormKernel kNorm[] = {
    norm_of(kCuda, built<build::kWithCuda, &gpu::norm_rows<DeviceKind::cuda>>()),
    norm_of(kHip, built<build::kWithRocm, &gpu::norm_rows<DeviceKind::hip>>()),
};

constexpr RopeKernel rope_of(DeviceNeed need, RopeKernel::Launch launch) {
  return {.info = info_of("gpu.rope.pairs", "elements.simt", need),
          .can = {.x_dtype = any, .out_dtype = any, .head_dim = any, .rotary_dim = any, .style = any},
          .launch = launch};
}
constexpr RopeKernel kRope[] = {
    rope_of(kCuda, built<build::kWithCuda, &gpu::rope_pairs<DeviceKind::cuda>>()),
    rope_of(kHip, built<build::kWithRocm, &gpu::rope_pairs<DeviceKind::hip>>()),
};

// The order of gpu.norm.rows, the elements of gpu.rope.pairs and gpu.kv_write.paged: their bits.
constexpr RopeKvWriteKernel rope_kv_write_of(DeviceNeed need, RopeKvWriteKernel::Launch launch) {
  KernelInfo info = info_of("gpu.rope_kv_write.heads", "squares4.lanes32.simt", need, 3);
  info.preferred_block_size = 64;
  return {.info = info,
          .can = {.x_dtype = any,
                  .out_dtype = any,
                  .kv_dtype = any,
                  .num_kv_heads = any,
                  .gqa_group = any,
                  .head_dim = any,
                  .rotary_dim = any,
                  .style = any,
                  .norm = flag,
                  .w_dtype = any,
                  .unit_offset = flag,
                  .block_size = any,
                  .kv_layout = any,
                  .kv_scale = any},
          .shared_memory = gpu::rope_kv_write_shared_memory,
          .launch = launch};
}
constexpr RopeKvWriteKernel kRopeKvWrite[] = {
    rope_kv_write_of(kCuda, built<build::kWithCuda, &gpu::rope_kv_write_heads<DeviceKind::cuda>>()),
    rope_kv_write_of(kHip, built<build::kWithRocm, &gpu::rope_kv_write_heads<DeviceKind::hip>>()),
};

constexpr ActivationKernel activation_of(DeviceNeed need, ActivationKernel::Launch launch) {
  return {.info = info_of("gpu.activation.elementwise", "elements.simt", need, 2),
          .can = {.x_dtype = any, .out_dtype = any, .activation = any, .gated = flag, .softcap = any},
          .launch = launch};
}
constexpr ActivationKernel kActivation[] = {
    activation_of(kCuda, built<build::kWithCuda, &gpu::activation_elementwise<DeviceKind::cuda>>()),
    activation_of(kHip, built<build::kWithRocm, &gpu::activation_elementwise<DeviceKind::hip>>()),
};

constexpr EmbedKernel embed_of(DeviceNeed need, EmbedKernel::Launch launch) {
  return {.info = info_of("gpu.embed.rows", "exact", need), .can = {.w_dtype = any, .out_dtype = any, .hidden = any}, .launch = launch};
}
constexpr EmbedKernel kEmbed[] = {
    embed_of(kCuda, built<build::kWithCuda, &gpu::embed_rows<DeviceKind::cuda>>()),
    embed_of(kHip, built<build::kWithRocm, &gpu::embed_rows<DeviceKind::hip>>()),
};

constexpr KvWriteKernel kv_write_of(DeviceNeed need, KvWriteKernel::Launch launch) {
  KernelInfo info = info_of("gpu.kv_write.paged", "exact", need);
  info.preferred_block_size = 64;
  return {.info = info,
          .can = {.x_dtype = any, .kv_dtype = any, .num_kv_heads = any, .head_dim = any, .block_size = any, .kv_layout = any, .kv_scale = any},
          .launch = launch};
}
constexpr KvWriteKernel kKvWrite[] = {
    kv_write_of(kCuda, built<build::kWithCuda, &gpu::kv_write_paged<DeviceKind::cuda>>()),
    kv_write_of(kHip, built<build::kWithRocm, &gpu::kv_write_paged<DeviceKind::hip>>()),
};

constexpr SampleKernel sample_of(DeviceNeed need, SampleKernel::Launch launch) {
  return {.info = info_of("gpu.sample.rows", "whole_weights.simt", need),
          .can = {.vocab = any, .greedy_only = flag},
          .shared_memory = gpu::sample_shared_memory,
          .workspace = gpu::sample_workspace,
          .launch = launch};
}
constexpr SampleKernel kSample[] = {
    sample_of(kCuda, built<build::kWithCuda, &gpu::sample_rows<DeviceKind::cuda>>()),
    sample_of(kHip, built<build::kWithRocm, &gpu::sample_rows<DeviceKind::hip>>()),
};

}  // namespace

void add_gpu_page(Catalogue& c) {
  c.add(kAttention);
  c.add(kKvWrite);
  c.add(kMatmul);
  c.add(kNorm);
  c.add(kRope);
  c.add(kRopeKvWrite);
  c.add(kActivation);
  c.add(kEmbed);
  c.add(kSample);
  c.emulated.assign(std::begin(kEmulated), std::end(kEmulated));
}

}  // namespace attune
