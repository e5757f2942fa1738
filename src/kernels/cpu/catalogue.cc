// The page of the cpu backend: its kernels, best first.
#include "kernels/cpu/catalogue.h"

#include "build_info.h"
#include "kernels/cpu/kernels.h"

namespace attune {
namespace {

constexpr bool kX86 = build::kWithX86;

constexpr DeviceNeed kPlain{.kind = DeviceKind::cpu};
constexpr DeviceNeed kNeedsAvx2{.kind = DeviceKind::cpu, .features = kAvx2 | kFma | kF16c};
constexpr DeviceNeed kNeedsAvx512{.kind = DeviceKind::cpu, .features = kAvx2 | kFma | kF16c | kAvx512};
constexpr DeviceNeed kNeedsBf16{.kind = DeviceKind::cpu, .features = kAvx2 | kFma | kF16c | kAvx512 | kAvx512Bf16};

/// Everything but the element types is the same for every instruction set.
constexpr AttentionCapability attention_of(Constraint<DType> q, Constraint<DType> kv) {
  return {.q_dtype = q,
          .kv_dtype = kv,
          .out_dtype = any,
          .num_kv_heads = any,
          .gqa_group = any,
          .head_dim = range{1, 512},
          .block_size = multiple_of{16},
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
          .lse = flag};
}
constexpr Constraint<DType> kAttentionTypes = one_of({DType::f32, DType::f16, DType::bf16, DType::f8_e4m3, DType::f8_e4m3fnuz});
constexpr Constraint<DType> kExactInBf16 = one_of({DType::bf16, DType::f8_e4m3, DType::f8_e4m3fnuz});

constexpr AttentionKernel kAttention[] = {
    {.info = {.name = "cpu.attention.avx512_bf16",
              .version = 3,
              .reduction = "chunk256.lanes16.p_bf16",
              .device = kNeedsBf16,
              .preferred_block_size = 16},
     .can = attention_of(kExactInBf16, kExactInBf16),
     .workspace = cpu::plain::attention_workspace,
     .launch = built<kX86, cpu::avx512_bf16::attention>()},
    {.info = {.name = "cpu.attention.avx512", .version = 2, .reduction = "chunk256.f32_fma", .device = kNeedsAvx512, .preferred_block_size = 16},
     .can = attention_of(kAttentionTypes, kAttentionTypes),
     .workspace = cpu::plain::attention_workspace,
     .launch = built<kX86, cpu::avx512::attention>()},
    {.info = {.name = "cpu.attention.avx2", .reduction = "chunk256.f32_fma", .device = kNeedsAvx2, .preferred_block_size = 16},
     .can = attention_of(kAttentionTypes, kAttentionTypes),
     .workspace = cpu::plain::attention_workspace,
     .launch = built<kX86, cpu::avx2::attention>()},
    {.info = {.name = "cpu.attention.plain", .reduction = "chunk256.f32", .device = kPlain, .preferred_block_size = 16},
     .can = attention_of(kAttentionTypes, kAttentionTypes),
     .workspace = cpu::plain::attention_workspace,
     .launch = cpu::plain::attention},
};

// ---- matmul: weights in their own type; the workspace holds x widened to f32 where neither side's type is the other's ----

constexpr MatmulKernel matmul_of(std::string_view name, Tier tier, std::string_view reduction, DeviceNeed need, MatmulKernel::Launch launch,
                                 int version = 1) {
  return {.info = {.name = name, .tier = tier, .version = version, .reduction = reduction, .device = need},
          .can = {.x_dtype = kWideTypes,
                  .w_dtype = kWideTypes,
                  .out_dtype = any,
                  .n = any,
                  .k = any,
                  .rows = any,
                  .layout = any,
                  .segments = any,
                  .bias = flag,
                  .activation = any,
                  .residual = flag},
          .workspace = cpu::plain::matmul_workspace,
          .launch = launch};
}
constexpr MatmulKernel kMatmul[] = {
    matmul_of("cpu.matmul.avx512_bf16", Tier::specialized, "k_lanes16.fma.bf16dp", kNeedsBf16, built<kX86, cpu::avx512_bf16::matmul>(), 2),
    matmul_of("cpu.matmul.avx512", Tier::specialized, "k_lanes16.fma", kNeedsAvx512, built<kX86, cpu::avx512::matmul>()),
    matmul_of("cpu.matmul.avx2", Tier::specialized, "k_lanes8.fma", kNeedsAvx2, built<kX86, cpu::avx2::matmul>()),
    matmul_of("cpu.matmul.plain", Tier::portable, "k_lanes8", kPlain, cpu::plain::matmul),
};

// ---- the small ops ----

// Where the op's domain ends; as a range, so that the end meets every other field's corners.
constexpr int64_t kWidestNorm = 32768;

constexpr NormKernel norm_of(std::string_view name, Tier tier, std::string_view reduction, DeviceNeed need, NormKernel::Launch launch) {
  return {.info = {.name = name, .tier = tier, .reduction = reduction, .device = need},
          .can = {.x_dtype = any, .w_dtype = any, .out_dtype = any, .hidden = range{1, kWidestNorm}, .unit_offset = flag, .residual = flag},
          .launch = launch};
}
constexpr NormKernel kNorm[] = {
    norm_of("cpu.norm.avx512", Tier::specialized, "squares_4x16.fma", kNeedsAvx512, built<kX86, cpu::avx512::norm>()),
    norm_of("cpu.norm.avx2", Tier::specialized, "squares_4x8.fma", kNeedsAvx2, built<kX86, cpu::avx2::norm>()),
    norm_of("cpu.norm.plain", Tier::portable, "squares_4x8", kPlain, cpu::plain::norm),
};

constexpr RopeKernel rope_of(std::string_view name, Tier tier, DeviceNeed need, RopeKernel::Launch launch) {
  return {.info = {.name = name, .tier = tier, .reduction = "elements.f32", .device = need},
          .can = {.x_dtype = any, .out_dtype = any, .head_dim = any, .rotary_dim = any, .style = any},
          .launch = launch};
}
constexpr RopeKernel kRope[] = {
    rope_of("cpu.rope.avx512", Tier::specialized, kNeedsAvx512, built<kX86, cpu::avx512::rope>()),
    rope_of("cpu.rope.avx2", Tier::specialized, kNeedsAvx2, built<kX86, cpu::avx2::rope>()),
    rope_of("cpu.rope.plain", Tier::portable, kPlain, cpu::plain::rope),
};

constexpr ActivationKernel activation_of(std::string_view name, Tier tier, std::string_view reduction, DeviceNeed need,
                                         ActivationKernel::Launch launch) {
  return {.info = {.name = name, .tier = tier, .reduction = reduction, .device = need},
          .can = {.x_dtype = any, .out_dtype = any, .activation = any, .gated = flag, .softcap = any},
          .launch = launch};
}
constexpr ActivationKernel kActivation[] = {
    activation_of("cpu.activation.avx512", Tier::specialized, "elements.fma", kNeedsAvx512, built<kX86, cpu::avx512::activation>()),
    activation_of("cpu.activation.avx2", Tier::specialized, "elements.fma", kNeedsAvx2, built<kX86, cpu::avx2::activation>()),
    activation_of("cpu.activation.plain", Tier::portable, "elements", kPlain, cpu::plain::activation),
};

constexpr EmbedKernel embed_of(std::string_view name, Tier tier, DeviceNeed need, EmbedKernel::Launch launch) {
  return {.info = {.name = name, .tier = tier, .reduction = "exact", .device = need},
          .can = {.w_dtype = any, .out_dtype = any, .hidden = any},
          .launch = launch};
}
constexpr EmbedKernel kEmbed[] = {
    embed_of("cpu.embed.avx512", Tier::specialized, kNeedsAvx512, built<kX86, cpu::avx512::embed>()),
    embed_of("cpu.embed.avx2", Tier::specialized, kNeedsAvx2, built<kX86, cpu::avx2::embed>()),
    embed_of("cpu.embed.plain", Tier::portable, kPlain, cpu::plain::embed),
};

constexpr KvWriteKernel kv_write_of(std::string_view name, Tier tier, DeviceNeed need, KvWriteKernel::Launch launch) {
  return {.info = {.name = name, .tier = tier, .version = 2, .reduction = "exact", .device = need},
          .can = {.x_dtype = any, .kv_dtype = any, .num_kv_heads = any, .head_dim = any, .block_size = any, .kv_layout = any, .kv_scale = any},
          .launch = launch};
}
constexpr KvWriteKernel kKvWrite[] = {
    kv_write_of("cpu.kv_write.avx512", Tier::specialized, kNeedsAvx512, built<kX86, cpu::avx512::kv_write>()),
    kv_write_of("cpu.kv_write.avx2", Tier::specialized, kNeedsAvx2, built<kX86, cpu::avx2::kv_write>()),
    kv_write_of("cpu.kv_write.plain", Tier::portable, kPlain, cpu::plain::kv_write),
};

constexpr SampleKernel sample_of(std::string_view name, Tier tier, std::string_view reduction, DeviceNeed need, SampleKernel::Launch launch) {
  return {.info = {.name = name, .tier = tier, .reduction = reduction, .device = need},
          .can = {.vocab = any, .greedy_only = flag},
          .workspace = cpu::plain::sample_workspace,
          .launch = launch};
}
constexpr SampleKernel kSample[] = {
    sample_of("cpu.sample.avx512", Tier::specialized, "chunk16k.lanes16.fma", kNeedsAvx512, built<kX86, cpu::avx512::sample>()),
    sample_of("cpu.sample.avx2", Tier::specialized, "chunk16k.lanes8.fma", kNeedsAvx2, built<kX86, cpu::avx2::sample>()),
    sample_of("cpu.sample.plain", Tier::portable, "chunk16k.lanes8", kPlain, cpu::plain::sample),
};

}  // namespace

void add_cpu_page(Catalogue& c) {
  c.add(kAttention);
  c.add(kKvWrite);
  c.add(kMatmul);
  c.add(kNorm);
  c.add(kRope);
  c.add(kActivation);
  c.add(kEmbed);
  c.add(kSample);
}

}  // namespace attune
