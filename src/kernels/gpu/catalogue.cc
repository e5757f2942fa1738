// The page of the gpu backend: portable kernels, one entry a vendor, since a need names one kind of device and its code objects.
#include "kernels/gpu/catalogue.h"

#include "build_info.h"
#include "kernels/gpu/attention_plan.h"
#include "kernels/gpu/kernels.h"

namespace attune {
namespace {

constexpr DeviceNeed kCuda{.kind = DeviceKind::cuda, .arch = one_of({Arch::sm90a})};
constexpr DeviceNeed kHip{.kind = DeviceKind::hip, .arch = one_of({Arch::gfx90a, Arch::gfx942})};

// Both are one source without contraction or vendor math, hence one tag.
constexpr AttentionKernel attention_of(DeviceNeed need, Mark mark, AttentionKernel::Launch launch) {
  return {.info = {.name = "gpu.attention.split_kv",
                   .tier = Tier::portable,
                   .reduction = "chunk256.dot8.simt",
                   .device = need,
                   .mark = mark,
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
    attention_of(kCuda, Mark::run, built<build::kWithCuda, &gpu::attention_split_kv<DeviceKind::cuda>>()),
    attention_of(kHip, Mark::compiled, built<build::kWithRocm, &gpu::attention_split_kv<DeviceKind::hip>>()),
};

}  // namespace

void add_gpu_page(Catalogue& c) { c.add(kAttention); }

}  // namespace attune
