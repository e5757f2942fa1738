// The order of arithmetic: a row's bits do not depend on batch, on the query rows of the call, on threads, on block size or on unused keys.
#include <gtest/gtest.h>

#include "problem.h"

namespace attune {
namespace {

ThreadPool& pool(int threads) {
  static ThreadPool one(1), two(2), five(5);
  return threads == 1 ? one : threads == 2 ? two : five;
}

/// Descs whose arithmetic differs: types, dimensions, masks, biases. None has a tree: trees are outside the property.
std::vector<AttentionDesc> descs() {
  std::vector<AttentionDesc> out;
  const auto add = [&](auto change) {
    AttentionDesc d;
    d.out_dtype = DType::f32, d.head_dim = 64, d.num_kv_heads = 2, d.gqa_group = 2, d.phase = Phase::prefill, d.lse = true;
    change(d);
    out.push_back(d);
  };
  add([](AttentionDesc&) {});
  add([](AttentionDesc& d) { d.head_dim = 128, d.gqa_group = 7, d.num_kv_heads = 1, d.out_dtype = DType::bf16; });
  add([](AttentionDesc& d) { d.head_dim = 80, d.gqa_group = 3, d.window = 100, d.sinks = true; });
  add([](AttentionDesc& d) { d.q_dtype = DType::f32, d.kv_dtype = DType::f32, d.head_dim = 33, d.softcap = 20, d.alibi = Alibi::plain; });
  add([](AttentionDesc& d) { d.kv_dtype = DType::f8_e4m3, d.kv_scale = Scales::token_head, d.gqa_group = 5; });
  add([](AttentionDesc& d) {
    d.kv_dtype = DType::f8_e4m3, d.kv_scale = Scales::seq_head, d.window = 300, d.alibi = Alibi::sqrt, d.out_dtype = DType::f16;
  });
  add([](AttentionDesc& d) { d.q_dtype = DType::f16, d.kv_dtype = DType::f16, d.kv_source = KvSource::ragged, d.ranges = true; });
  return out;
}

/// Runs rows [first, last) of a sequence of `length` keys as one call of its own.
std::string piece(const AttentionDesc& base, const AttentionKernel& kernel, uint64_t content, int64_t length, int64_t first, int64_t last) {
  AttentionDesc d = base;
  d.phase = last - first == 1 ? Phase::decode : last - first <= 32 ? Phase::verify : Phase::prefill;
  // Without ranges a row sees nothing behind itself: the cache of that moment ends with the piece.
  const int64_t kv_len = d.ranges ? length : last;
  Problem p(d, {{content, d.ranges ? length - first : last - first, kv_len, length}}, 77);
  return p.rows_of(p.run(kernel, pool(2)), 0, 0, last - first);
}

class Order : public ::testing::TestWithParam<int> {
 protected:
  AttentionDesc desc() const { return descs()[static_cast<size_t>(GetParam())]; }
};

constexpr int64_t kLength = 611;

TEST_P(Order, WholeChunkedVerifiedAndDecodedRowsAreEqual) {
  for (const AttentionKernel* k : kernels_for(desc())) {
    Problem whole(desc(), {{1, kLength, kLength}}, 77);
    const std::string all = whole.run(*k, pool(2));
    for (const int64_t step : {256, 100, 32, 7, 1}) {
      const int64_t begin = step >= 100 ? 0 : kLength - 5 * step;
      for (int64_t first = begin; first < kLength; first += step) {
        const int64_t last = std::min(kLength, first + step);
        ASSERT_TRUE(piece(desc(), *k, 1, kLength, first, last) == whole.rows_of(all, 0, first, last - first))
            << k->info.name << " rows " << first << ".." << last << " of " << describe(whole);
      }
    }
    for (const int64_t row : {0, 1, 63, 255, 256, 300})
      ASSERT_TRUE(piece(desc(), *k, 1, kLength, row, row + 1) == whole.rows_of(all, 0, row, 1))
          << k->info.name << " row " << row << " of " << describe(whole);
  }
}

TEST_P(Order, AloneAndInABatchAreEqual) {
  const std::vector<SequenceSpec> batch = {{1, 1, 300}, {2, 40, 530}, {3, 0, 17}, {4, 20, 12}, {5, 1, 1}, {6, 3, 700}};
  for (const AttentionKernel* k : kernels_for(desc())) {
    Problem together(desc(), batch, 77);
    const std::string all = together.run(*k, pool(2));
    for (size_t i = 0; i < batch.size(); ++i) {
      Problem alone(desc(), {batch[i]}, 77);
      EXPECT_TRUE(alone.run(*k, pool(2)) == together.rows_of(all, i)) << k->info.name << " sequence " << i << " of " << describe(together);
    }
  }
}

TEST_P(Order, ThreadsWorkspaceAndBlockSizeChangeNothing) {
  const std::vector<SequenceSpec> batch = {{1, 1, 1900}, {2, 70, 530}, {3, 1, 1}};
  for (const AttentionKernel* k : kernels_for(desc())) {
    Problem p(desc(), batch, 77);
    const std::string expected = p.run(*k, pool(1));
    for (const int threads : {1, 2, 5})
      for (const size_t workspace : {SIZE_MAX, size_t{0}, size_t{1000000}, size_t{100001}})
        EXPECT_TRUE(p.run(*k, pool(threads), workspace) == expected)
            << k->info.name << " " << threads << " threads, workspace " << workspace << ": " << describe(p);
    if (desc().kv_source == KvSource::ragged) continue;
    for (const int64_t block : {64, 128, 48}) {
      AttentionDesc d = desc();
      d.block_size = block;
      Problem other(d, batch, 77);
      EXPECT_TRUE(other.run(*k, pool(2)) == expected) << k->info.name << " block " << block << ": " << describe(p);
    }
  }
}

TEST_P(Order, EqualTagsMeanEqualBits) {
  const std::vector<SequenceSpec> batch = {{1, 1, 700}, {2, 33, 530}, {3, 1, 1}};
  const auto kernels = kernels_for(desc());
  for (const AttentionKernel* a : kernels)
    for (const AttentionKernel* b : kernels) {
      if (a >= b || a->info.reduction != b->info.reduction) continue;
      Problem p(desc(), batch, 77);
      EXPECT_TRUE(p.run(*a, pool(2)) == p.run(*b, pool(2))) << a->info.name << " and " << b->info.name << ": " << describe(p);
    }
}

INSTANTIATE_TEST_SUITE_P(CpuAttention, Order, ::testing::Range(0, static_cast<int>(descs().size())));

}  // namespace
}  // namespace attune
