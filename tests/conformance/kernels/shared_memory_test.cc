// What a launch of cuda.attention.wgmma_split_kv asks of a block's shared memory is never more than its page declares.
#include <gtest/gtest.h>

#include "kernels/cuda/attention_call.h"

namespace attune {
namespace {

TEST(SharedMemory, NoLaunchAsksForMoreThanIsDeclared) {
  int64_t launches = 0;
  for (const int64_t group : {1, 2, 4, 5, 7, 8, 16, 17, 64})
    for (const int64_t dim : {64, 80, 96, 112, 128, 192, 256})
      for (const DType kv : {DType::bf16, DType::f8_e4m3})
        for (const Phase phase : {Phase::decode, Phase::verify, Phase::prefill}) {
          const AttentionDesc d{.kv_dtype = kv, .gqa_group = group, .head_dim = dim, .phase = phase};
          const int64_t declared = cuda::attention_shared_memory(d), most_q = phase == Phase::decode   ? 1
                                                                              : phase == Phase::verify ? cuda::kMostVerified
                                                                                                       : 4096;
          EXPECT_LE(declared, 227 << 10) << dim;
          for (int64_t q = 1; q <= most_q; q *= 2)
            for (int64_t longest = 1; longest <= 1 << 20; longest *= 2)
              for (const bool alone : {false, true}) {
                const int waiting = cuda::waiting_nodes(cuda::levels_below(longest));
                const auto shape = cuda::shape_of(cuda::rows_of(q, group), static_cast<int>(cuda::padded_dim(d)), is_f8(kv), waiting, alone);
                ++launches;
                ASSERT_LE(shape.bytes, declared) << "group " << group << ", head_dim " << dim << ", q " << q << ", keys " << longest;
              }
        }
  EXPECT_GT(launches, 10000);
}

}  // namespace
}  // namespace attune
