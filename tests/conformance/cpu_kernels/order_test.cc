// Order of arithmetic: a row's bits do not depend on how many rows, threads or weight segments a call has.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/rng.h"
#include "core/thread_pool.h"
#include "ops/catalogue.h"
#include "select/judge.h"

namespace attune {
namespace {

struct Tensor {
  Tensor(DType dtype, int64_t count, uint64_t seed) : type(dtype), bytes(static_cast<size_t>(count) * size_of(dtype)) {
    Rng rng(seed);
    for (int64_t i = 0; i < count; ++i) store_from_float(bytes.data(), type, i, rng.between(-1, 1));
  }
  const void* at(int64_t element) const { return bytes.data() + static_cast<size_t>(element) * size_of(type); }
  DType type;
  std::vector<uint8_t> bytes;
};

/// A linear layer with bias, activation and residual, whose calls differ in rows and segments only.
struct Layer {
  Layer(const MatmulKernel& k, DType x_dtype, DType w_dtype, int64_t columns, int64_t depth, int64_t rows)
      : kernel(k), n(columns), k_(depth), x(x_dtype, rows * depth, 1), w(w_dtype, columns * depth, 2), bias(DType::bf16, columns, 3) {}

  std::vector<float> run(int64_t first, int64_t rows, std::vector<int64_t> cuts, ThreadPool& pool) const {
    MatmulDesc d;
    d.x_dtype = x.type, d.w_dtype = w.type, d.n = n, d.k = k_, d.rows = rows;
    d.bias = true, d.activation = Activation::silu, d.residual = true;
    d.segments = static_cast<int64_t>(cuts.size()) + 1;
    std::vector<float> out(static_cast<size_t>(rows * n), 0.25f);
    MatmulParams p;
    p.x = x.at(first * k_), p.x_stride = k_, p.m = rows, p.bias_dtype = DType::bf16;
    p.out = out.data(), p.out_stride = n, p.residual = out.data();
    cuts.push_back(n);
    int64_t from = 0;
    for (int64_t s = 0; s < d.segments; ++s) {
      const int64_t to = cuts[static_cast<size_t>(s)];
      p.segments[s] = {w.at(from * k_), to - from, bias.at(from), nullptr};
      from = to;
    }
    const Limits limits{.tokens = rows, .threads = pool.size()};
    std::vector<uint64_t> scratch(static_cast<size_t>(kernel.workspace(d, limits)) / 8 + 1);
    ExecContext ctx;
    ctx.pool = &pool, ctx.workspace = {scratch.data(), scratch.size() * 8};
    kernel.launch(ctx, d, p);
    return out;
  }

  const MatmulKernel& kernel;
  int64_t n, k_;
  Tensor x, w, bias;
};

void expect_one_order(const MatmulKernel& kernel, DType x_dtype, DType w_dtype, int64_t k) {
  const int64_t n = 131, rows = 300;
  ThreadPool one(1), two(2), three(3);
  const Layer layer(kernel, x_dtype, w_dtype, n, k, rows);
  const std::vector<float> all = layer.run(0, rows, {}, one);
  const auto agrees = [&](int64_t first, const std::vector<float>& got) {
    return std::memcmp(got.data(), all.data() + first * n, got.size() * sizeof(float)) == 0;
  };
  const std::string name = std::string(kernel.info.name) + " k=" + std::to_string(k);
  EXPECT_TRUE(agrees(0, layer.run(0, rows, {}, two))) << name << ": two threads";
  EXPECT_TRUE(agrees(0, layer.run(0, rows, {50, 51}, three))) << name << ": three segments and threads";
  for (int64_t m = 1; m <= 12; ++m) EXPECT_TRUE(agrees(7 * m, layer.run(7 * m, m, {m}, m % 2 ? two : one))) << name << ": m=" << m;
  EXPECT_TRUE(agrees(259, layer.run(259, 41, {}, two))) << name << ": m=41";
}

TEST(CpuOrder, MatmulRowsDoNotDependOnTheCall) {
  const DeviceProps device = detect_cpu();
  for (const MatmulKernel* kernel : catalogue().kernels<Matmul>()) {
    if (kernel->info.backend() != "cpu" || !check_device(kernel->info, kernel->launch != nullptr, device).empty()) continue;
    for (int64_t k : {7, 80, 1000, 2053}) {  // the last cuts few rows into parts of K
      expect_one_order(*kernel, DType::bf16, DType::bf16, k);
      expect_one_order(*kernel, DType::f32, DType::f16, k);
    }
    expect_one_order(*kernel, DType::f16, DType::bf16, 100);
  }
}

/// A drawn token depends on its own row alone.
TEST(CpuOrder, SampledTokensDoNotDependOnTheBatch) {
  const DeviceProps device = detect_cpu();
  constexpr int64_t kVocab = 40000, kRows = 9;
  std::vector<SampleRow> rows(kRows);
  for (int64_t i = 0; i < kRows; ++i) {
    auto& r = rows[static_cast<size_t>(i)];
    r.temperature = i % 4 == 3 ? 0 : 0.8f, r.top_k = i % 3 == 1 ? 20 : 0, r.top_p = i % 2 ? 0.9f : 1.0f, r.seed = static_cast<uint64_t>(i),
    r.position = 5;
  }
  const Tensor logits(DType::f32, kRows * kVocab, 4);
  const SampleDesc desc{.vocab = kVocab, .greedy_only = false};
  ThreadPool one(1), two(2);
  const auto run = [&](const SampleKernel& kernel, int64_t first, int64_t count, ThreadPool& pool, std::vector<float>& logprob) {
    std::vector<float> own(count * kVocab);
    std::memcpy(own.data(), logits.at(first * kVocab), own.size() * sizeof(float));
    std::vector<int32_t> token(static_cast<size_t>(count));
    logprob.resize(static_cast<size_t>(count));
    const SampleParams p{.logits = own.data(), .rows = count, .row = rows.data() + first, .token = token.data(), .logprob = logprob.data()};
    std::vector<uint64_t> scratch(static_cast<size_t>(kernel.workspace(desc, {.tokens = count, .threads = pool.size()})) / 8 + 1);
    ExecContext ctx;
    ctx.pool = &pool, ctx.workspace = {scratch.data(), scratch.size() * 8};
    kernel.launch(ctx, desc, p);
    return token;
  };
  for (const SampleKernel* kernel : catalogue().kernels<Sample>()) {
    if (kernel->info.backend() != "cpu" || !check_device(kernel->info, kernel->launch != nullptr, device).empty()) continue;
    std::vector<float> together, alone;
    const auto tokens = run(*kernel, 0, kRows, two, together);
    for (int64_t i = 0; i < kRows; ++i) {
      EXPECT_EQ(run(*kernel, i, 1, i % 2 ? one : two, alone)[0], tokens[static_cast<size_t>(i)]) << kernel->info.name;
      EXPECT_EQ(alone[0], together[static_cast<size_t>(i)]) << kernel->info.name;
    }
  }
}

}  // namespace
}  // namespace attune
