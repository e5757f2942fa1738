// Attention right behind the launch that writes the newest keys. cuda.attention.wgmma_split_kv reads older ones while that launch still runs
// (AttentionParams::past_stands); the newest it must wait for. Each round poisons their page, writes it last of many others, and launches
// attention at once: the bits are those of launches that wait for each other. `device_new_keys`.
#include <fmt/format.h>

#include <numeric>

#include "device_memory.h"
#include "ops/catalogue.h"
#include "proof/fill.h"

namespace attune::device_test {
namespace {

constexpr int64_t kHeads = 8, kGroup = 4, kDim = 128, kPage = 16, kPages = 512, kRounds = 100, kWorkspace = int64_t{64} << 20;
constexpr int64_t kPageBytes = kHeads * kPage * kDim * 2;

template <class Op>
const Kernel<Op>& kernel_named(std::string_view name) {
  for (const Kernel<Op>* k : catalogue().kernels<Op>())
    if (k->info.name == name && k->launch != nullptr) return *k;
  fail(ErrorCode::device_error, name, "a kernel of this build", "none");
}

std::vector<uint16_t> noise(int64_t count, uint64_t seed) {
  std::vector<uint16_t> out(static_cast<size_t>(count));
  Fill(seed).values(out.data(), DType::bf16, 0, count, 1);
  return out;
}
DeviceArray noise_on_device(int64_t count, uint64_t seed) { return {noise(count, seed).data(), count * 2}; }
template <class T>
DeviceArray on_device(const std::vector<T>& host) {
  return {host.data(), static_cast<int64_t>(host.size() * sizeof(T))};
}

/// One sequence whose `q_len` newest tokens stand at the beginning of a page of their own, and tokens of others that are written before them.
class Step {
 public:
  Step(int64_t past, int64_t q_len) : past_(past), q_len_(q_len) {}
  std::vector<uint8_t> run(const ExecContext& ctx, bool waits) const {
    poison(ctx);
    write_.launch(ctx, {.x_dtype = DType::bf16, .num_kv_heads = kHeads, .head_dim = kDim, .block_size = kPage}, write_params());
    if (waits) check(cudaStreamSynchronize(static_cast<cudaStream_t>(ctx.stream)), "kv_write");
    attend_.launch(ctx, {.phase = q_len_ == 1 ? Phase::decode : Phase::verify, .lse = true}, attention_params());
    check(cudaStreamSynchronize(static_cast<cudaStream_t>(ctx.stream)), "attention");
    std::vector<uint8_t> out = out_.contents();
    const std::vector<uint8_t> lse = lse_.contents();
    out.insert(out.end(), lse.begin(), lse.end());
    return out;
  }

 private:
  void poison(const ExecContext& ctx) const {
    for (const DeviceArray* cache : {&k_, &v_})
      check(cudaMemsetAsync(cache->data<uint8_t>() + past_ / kPage * kPageBytes, 0xff, kPageBytes, static_cast<cudaStream_t>(ctx.stream)), "poison");
  }
  KvWriteParams write_params() const {
    return {.k = new_k_.data<void>(),
            .v = new_v_.data<void>(),
            .x_stride = kHeads * kDim,
            .tokens = kPages * kPage - (past_ / kPage + 1) * kPage + q_len_,
            .slot_mapping = slots_.data<int64_t>(),
            .k_cache = k_.data<void>(),
            .v_cache = v_.data<void>(),
            .num_blocks = kPages};
  }
  AttentionParams attention_params() const {
    AttentionParams p;
    p.q = q_.data<void>(), p.q_stride = kHeads * kGroup * kDim, p.out = out_.data<void>(), p.out_stride = p.q_stride, p.lse = lse_.data<float>();
    p.num_seqs = 1, p.total_q = q_len_, p.q_start = q_start_.data<int32_t>(), p.kv_lens = kv_lens_.data<int32_t>();
    p.k = k_.data<void>(), p.v = v_.data<void>(), p.num_blocks = kPages;
    p.block_table = table_.data<int32_t>(), p.max_blocks = past_ / kPage + 1;
    p.scale = 0.09f, p.longest_q = q_len_, p.longest_kv = past_ + q_len_;
    p.past_stands = true;
    return p;
  }

  std::vector<int64_t> slots() const {
    const int64_t newest = past_ / kPage;
    std::vector<int64_t> out;
    for (int64_t i = (newest + 1) * kPage; i < kPages * kPage; ++i) out.push_back(i);
    for (int64_t i = 0; i < q_len_; ++i) out.push_back(newest * kPage + i);
    return out;
  }
  std::vector<int32_t> table() const {
    std::vector<int32_t> out(static_cast<size_t>(past_ / kPage + 1));
    std::iota(out.begin(), out.end(), 0);
    return out;
  }

  static constexpr int64_t kPool = kPages * kPageBytes / 2, kRow = kHeads * kGroup * kDim;
  const KvWriteKernel& write_ = kernel_named<KvWrite>("gpu.kv_write.paged");
  const AttentionKernel& attend_ = kernel_named<Attention>("cuda.attention.wgmma_split_kv");
  int64_t past_, q_len_;
  DeviceArray k_ = noise_on_device(kPool, 1), v_ = noise_on_device(kPool, 2), new_k_ = noise_on_device(kPool, 3), new_v_ = noise_on_device(kPool, 4);
  DeviceArray q_ = noise_on_device(q_len_ * kRow, 5), out_ = noise_on_device(q_len_ * kRow, 6), lse_ = noise_on_device(q_len_ * kRow, 7);
  DeviceArray q_start_ = on_device(std::vector<int32_t>{0, static_cast<int32_t>(q_len_)});
  DeviceArray kv_lens_ = on_device(std::vector<int32_t>{static_cast<int32_t>(past_ + q_len_)});
  DeviceArray table_ = on_device(table()), slots_ = on_device(slots());
};

int all() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "a stream");
  const DeviceMemory workspace = allocate(kWorkspace);
  const ExecContext ctx{.stream = stream, .workspace = {workspace.get(), static_cast<size_t>(kWorkspace)}};
  int64_t wrong = 0, runs = 0;
  for (const int64_t past : {16, 160, 2048, 4000})
    for (const int64_t q_len : {1, 4, 16}) {
      const Step step(past, q_len);
      const std::vector<uint8_t> expected = step.run(ctx, true);
      for (int64_t round = 0; round < kRounds; ++round) ++runs, wrong += step.run(ctx, false) != expected;
    }
  fmt::print("{} of {} runs gave other bits than launches that wait for each other\n", wrong, runs);
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace attune::device_test

int main() {
  try {
    return attune::device_test::all();
  } catch (const std::exception& e) {
    fmt::print("FAIL {}\n", e.what());
    return 1;
  }
}
