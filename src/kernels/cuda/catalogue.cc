// The page of the cuda backend: kernels for NVIDIA alone, and its libraries as candidates beside them.
#include "kernels/cuda/catalogue.h"

#include "build_info.h"
#include "kernels/cuda/attention_call.h"
#include "kernels/cuda/attention_cudnn.h"
#include "kernels/cuda/attention_prefill.h"
#include "kernels/cuda/kernels.h"

namespace attune {
namespace {

constexpr bool kOn = build::kWithCuda;
constexpr DeviceNeed kHopper{.kind = DeviceKind::cuda, .arch = one_of({Arch::sm90a})};
// A library takes those of its kernels whose shared memory fits, so its entries declare none.
constexpr DeviceNeed kCublasLt{
    .kind = DeviceKind::cuda, .arch = one_of({Arch::sm90a}), .library = {.name = "cublasLt", .min_version = 120000, .max_version = 139999}};
constexpr DeviceNeed kCudnn{
    .kind = DeviceKind::cuda, .arch = one_of({Arch::sm90a}), .library = {.name = "cudnn", .min_version = 91900, .max_version = 91999}};

// ---- attention ----

constexpr Rule<AttentionDesc> kAttentionRules[] = {
    {"keys and values are f8_e4m3, or of the queries' type", [](const AttentionDesc& d) { return is_f8(d.kv_dtype) || d.kv_dtype == d.q_dtype; }},
};

/// No launch of cuda.attention.wgmma_split_kv asks for more shared memory than its page declares.
constexpr bool declares_enough() {
  for (const int64_t group : {1, 8, 17})
    for (const int64_t dim : {64, 128, 192, 256})
      for (const DType kv : {DType::bf16, DType::f8_e4m3})
        for (const Phase phase : {Phase::decode, Phase::verify, Phase::prefill})
          for (const double softcap : {0, 30}) {
            const AttentionDesc d{.kv_dtype = kv, .gqa_group = group, .head_dim = dim, .phase = phase, .softcap = softcap};
            const int64_t declared = cuda::attention_shared_memory(d);
            for (int64_t q = 1; q <= cuda::most_q(d); q += 3)
              for (const int64_t keys : {1, 513, 4096, 1 << 20})
                for (const bool alone : {false, true})
                  if (cuda::shape_of(cuda::rows_of(d, q), static_cast<int>(cuda::padded_dim(d)), is_f8(kv),
                                     cuda::waiting_nodes(cuda::levels_below(keys)), alone)
                          .bytes > declared)
                    return false;
          }
  return true;
}
static_assert(declares_enough());

constexpr Rule<AttentionDesc> kPrefillRules[] = {
    {"keys and values are of the queries' type", [](const AttentionDesc& d) { return d.kv_dtype == d.q_dtype; }},
};

constexpr Rule<AttentionDesc> kCudnnRules[] = {
    {"keys, values and out are of the queries' type", [](const AttentionDesc& d) { return d.kv_dtype == d.q_dtype && d.out_dtype == d.q_dtype; }},
};

constexpr AttentionKernel kAttention[] = {
    {.info = {.name = "cuda.attention.wgmma_prefill",
              .tier = Tier::specialized,
              .reduction = "down.tile128.wgmma.p_bf16.p_f16_scaled14",
              .device = kHopper,
              .graph = GraphLevel::mixed,
              .mark = Mark::run,
              .preferred_block_size = 64},
     .can = {.q_dtype = one_of({DType::bf16, DType::f16}),
             .kv_dtype = one_of({DType::bf16, DType::f16}),
             .out_dtype = one_of({DType::bf16, DType::f16, DType::f32}),
             .num_kv_heads = any,
             .gqa_group = range{1, cuda::kPrefillRows},
             .head_dim = one_of({64, 80, 96, 112, 128, 192, 256}),
             .block_size = multiple_of{16},
             .phase = one_of({Phase::prefill}),
             .kv_source = one_of({KvSource::self_paged, KvSource::cross_paged}),
             .kv_layout = any,
             .mask = one_of({Mask::none, Mask::causal, Mask::per_request}),
             .window = any,
             .window_right = any,
             .softcap = any,
             .alibi = any,
             .sinks = flag,
             .lse = flag},
     .rules = kPrefillRules,
     .shared_memory = cuda::prefill_shared_memory,
     .workspace = cuda::prefill_workspace,
     .launch = built<kOn, &cuda::attention_wgmma_prefill>()},
    {.info = {.name = "cuda.attention.wgmma_split_kv",
              .tier = Tier::specialized,
              .version = 6,
              .reduction = "chunk512.fold4.tile64.wgmma.p_bf16.p_f16_scaled14",
              .device = kHopper,
              .graph = GraphLevel::mixed,
              .mark = Mark::run,
              .preferred_block_size = 64},
     .can = {.q_dtype = one_of({DType::bf16, DType::f16}),
             .kv_dtype = one_of({DType::bf16, DType::f16, DType::f8_e4m3}),
             .out_dtype = one_of({DType::bf16, DType::f16, DType::f32}),
             .num_kv_heads = any,
             .gqa_group = any,
             .head_dim = one_of({64, 80, 96, 112, 128, 192, 256}),
             .block_size = multiple_of{16},
             .phase = any,
             .kv_source = one_of({KvSource::self_paged, KvSource::cross_paged}),
             .kv_layout = any,
             .mask = any,
             .window = any,
             .window_right = any,
             .softcap = any,
             .alibi = any,
             .sinks = flag,
             .kv_scale = any,
             .lse = flag},
     .rules = kAttentionRules,
     .shared_memory = cuda::attention_shared_memory,
     .workspace = cuda::attention_workspace,
     .launch = built<kOn, &cuda::attention_wgmma_split_kv>()},
    {.info = {.name = "cuda.attention.cudnn", .reduction = "cudnn.unordered.p_bf16.p_f16", .device = kCudnn, .graph = GraphLevel::uniform},
     .can = {.q_dtype = one_of({DType::bf16, DType::f16}),
             .kv_dtype = one_of({DType::bf16, DType::f16}),
             .out_dtype = one_of({DType::bf16, DType::f16}),
             .num_kv_heads = any,
             .gqa_group = range{1, 64},
             .head_dim = one_of({64, 80, 96, 112, 128, 192, 256}),
             .block_size = one_of({16, 32, 64, 128, 256}),
             .phase = one_of({Phase::decode}),
             .kv_source = one_of({KvSource::self_paged, KvSource::cross_paged}),
             .kv_layout = any,
             .mask = one_of({Mask::none, Mask::causal, Mask::per_request}),
             .lse = flag},
     .rules = kCudnnRules,
     .workspace = cuda::cudnn_workspace,
     .launch = built<kOn, &cuda::attention_cudnn>()},
};

// ---- matmul: bf16 and f16 by the tensor cores, f32 sums ----

constexpr Constraint<DType> kHalves = one_of({DType::bf16, DType::f16});
constexpr Rule<MatmulDesc> kOneType{"x and w are of one type", [](const MatmulDesc& d) { return d.x_dtype == d.w_dtype; }};
constexpr Rule<MatmulDesc> kOurRules[] = {kOneType};
constexpr Rule<MatmulDesc> kHalvesRules[] = {
    kOneType,
    {"k is a multiple of 8", [](const MatmulDesc& d) { return d.k % 8 == 0; }},
    {"at most 66 tiles of 128 x 256 outputs: more of them fill the multiprocessors without halves", cuda::halves_pay},
};
constexpr Rule<MatmulDesc> kLibraryRules[] = {
    kOneType,
    {"out is f32 or of x's type", [](const MatmulDesc& d) { return d.out_dtype == DType::f32 || d.out_dtype == d.x_dtype; }},
    {"a residual needs out in f32", [](const MatmulDesc& d) { return !d.residual || d.out_dtype == DType::f32; }},
};

constexpr MatmulCapability matmul_of(Constraint<int64_t> rows) {
  return {.x_dtype = kHalves,
          .w_dtype = kHalves,
          .out_dtype = any,
          .n = any,
          .k = multiple_of{8},
          .rows = rows,
          .layout = any,
          .segments = any,
          .bias = flag,
          .activation = any,
          .residual = flag,
          .gated = flag};
}
/// What sums K in halves at once: for rows and K that make it pay.
constexpr MatmulCapability halves_of(Constraint<int64_t> rows) {
  MatmulCapability c = matmul_of(rows);
  c.n = range{1, 66 * 256}, c.k = range{1024, int64_t{1} << 19};
  c.activation = {}, c.gated = {};
  return c;
}
constexpr MatmulKernel kMatmul[] = {
    {.info = {.name = "cuda.matmul.skinny", .version = 5, .reduction = "wgmma_k16.split2", .device = kHopper, .graph = GraphLevel::mixed},
     .can = matmul_of(range{1, cuda::kMostRows}),
     .rules = kOurRules,
     .shared_memory = cuda::skinny_shared_memory_of,
     .launch = built<kOn, &cuda::matmul_skinny>()},
    {.info = {.name = "cuda.matmul.wgmma_halves", .reduction = "wgmma_k16.split2", .device = kHopper, .graph = GraphLevel::mixed},
     .can = halves_of(range{cuda::kMostRows + 1, 512}),
     .rules = kHalvesRules,
     .shared_memory = cuda::wide_shared_memory_of,
     .launch = built<kOn, &cuda::matmul_wgmma_halves>()},
    {.info = {.name = "cuda.matmul.wgmma", .version = 4, .reduction = "wgmma_k16", .device = kHopper, .graph = GraphLevel::mixed},
     .can = matmul_of(any),
     .rules = kOurRules,
     .shared_memory = cuda::wide_shared_memory_of,
     .launch = built<kOn, &cuda::matmul_wgmma>()},
    {.info = {.name = "cuda.matmul.wgmma_split2", .version = 3, .reduction = "wgmma_k16.split2", .device = kHopper, .graph = GraphLevel::mixed},
     .can = matmul_of(any),
     .rules = kOurRules,
     .shared_memory = cuda::wide_shared_memory_of,
     .launch = built<kOn, &cuda::matmul_wgmma_split2>()},
    {.info = {.name = "cuda.matmul.cublaslt", .reduction = "cublaslt.unordered", .device = kCublasLt, .graph = GraphLevel::mixed},
     .can = {.x_dtype = kHalves,
             .w_dtype = kHalves,
             .out_dtype = any,
             .n = any,
             .k = multiple_of{8},
             .rows = any,
             .layout = any,
             .segments = any,
             .residual = flag},
     .rules = kLibraryRules,
     .workspace = [](const MatmulDesc&, const Limits&) { return int64_t{32} << 20; },
     .launch = built<kOn, &cuda::matmul_cublaslt>()},
};

}  // namespace

void add_cuda_page(Catalogue& c) {
  c.add(kAttention);
  c.add(kMatmul);
}

}  // namespace attune
