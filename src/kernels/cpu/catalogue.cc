// The page of the cpu backend: its kernels, best first.
#include "kernels/cpu/catalogue.h"

#include "kernels/cpu/kernels.h"

namespace attune {
namespace {

#if defined(__x86_64__)
constexpr bool kX86 = true;
#else
constexpr bool kX86 = false;
#endif

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
    {.info = {.name = "cpu.attention.avx512_bf16", .reduction = "chunk256.pairs.p_bf16", .device = kNeedsBf16, .preferred_block_size = 16},
     .can = attention_of(kExactInBf16, kExactInBf16),
     .workspace = cpu::plain::attention_workspace,
     .launch = built<kX86, cpu::avx512_bf16::attention>()},
    {.info = {.name = "cpu.attention.avx512", .reduction = "chunk256.f32_fma", .device = kNeedsAvx512, .preferred_block_size = 16},
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

}  // namespace

void add_cpu_page(Catalogue& c) { c.add(kAttention); }

}  // namespace attune
