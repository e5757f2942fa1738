// The references: one plain kernel an op, every constraint `any`, double arithmetic, this machine's CPU.
#include "ops/catalogue.h"

namespace attune {
namespace {

constexpr DeviceNeed kAnyCpu{.kind = DeviceKind::cpu};

constexpr AttentionKernel kAttention[] = {
    {.info = {.name = "ref.attention", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
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
     .launch = attention_ref},
};

constexpr KvWriteKernel kKvWrite[] = {
    {.info = {.name = "ref.kv_write", .tier = Tier::reference, .reduction = "exact", .device = kAnyCpu},
     .can = {.x_dtype = any, .kv_dtype = any, .num_kv_heads = any, .head_dim = any, .block_size = any, .kv_layout = any, .kv_scale = any},
     .launch = kv_write_ref},
};

constexpr MatmulKernel kMatmul[] = {
    {.info = {.name = "ref.matmul", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
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
     .launch = matmul_ref},
};

constexpr NormKernel kNorm[] = {
    {.info = {.name = "ref.norm", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
     .can = {.x_dtype = any, .w_dtype = any, .out_dtype = any, .hidden = any, .unit_offset = flag, .residual = flag},
     .launch = norm_ref},
};

constexpr RopeKernel kRope[] = {
    {.info = {.name = "ref.rope", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
     .can = {.x_dtype = any, .out_dtype = any, .head_dim = any, .rotary_dim = any, .style = any},
     .launch = rope_ref},
};

constexpr RopeKvWriteKernel kRopeKvWrite[] = {
    {.info = {.name = "ref.rope_kv_write", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
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
     .launch = rope_kv_write_ref},
};

constexpr ActivationKernel kActivation[] = {
    {.info = {.name = "ref.activation", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
     .can = {.x_dtype = any, .out_dtype = any, .activation = any, .gated = flag, .softcap = any},
     .launch = activation_ref},
};

constexpr EmbedKernel kEmbed[] = {
    {.info = {.name = "ref.embed", .tier = Tier::reference, .reduction = "exact", .device = kAnyCpu},
     .can = {.w_dtype = any, .out_dtype = any, .hidden = any},
     .launch = embed_ref},
};

constexpr SampleKernel kSample[] = {
    {.info = {.name = "ref.sample", .tier = Tier::reference, .reduction = "ref.f64", .device = kAnyCpu},
     .can = {.vocab = any, .greedy_only = flag},
     .launch = sample_ref},
};

}  // namespace

void add_reference_page(Catalogue& c) {
  c.add(kAttention);
  c.add(kKvWrite);
  c.add(kMatmul);
  c.add(kNorm);
  c.add(kRope);
  c.add(kRopeKvWrite);
  c.add(kActivation);
  c.add(kEmbed);
  c.add(kSample);
}

}  // namespace attune
