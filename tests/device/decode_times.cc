// How long a decode step of gpu.attention.split_kv takes.
#include "decode_times.h"

#include <fmt/format.h>

#include "device_memory.h"

namespace attune::device_test {

void time_decode(const AttentionKernel& kernel, int64_t batch, int64_t kv_len, DType kv, int64_t block) {
  constexpr int64_t kCaches = 4;
  const AttentionDesc desc{.kv_dtype = kv, .block_size = block};
  const int64_t heads = desc.num_q_heads(), dim = desc.head_dim, blocks = batch * kv_len / block;
  const int64_t bytes = bytes_of(kv, blocks * desc.num_kv_heads * block * dim), q_bytes = bytes_of(desc.q_dtype, batch * heads * dim);
  std::vector<int32_t> starts, lens(static_cast<size_t>(batch), static_cast<int32_t>(kv_len)), table;
  for (int64_t i = 0; i <= batch; ++i) starts.push_back(static_cast<int32_t>(i));
  for (int64_t i = 0; i < blocks; ++i) table.push_back(static_cast<int32_t>(i * 7919 % blocks));
  std::vector<uint32_t> noise(1 << 22);
  uint64_t state = 1;
  for (uint32_t& x : noise) state = state * 6364136223846793005u + 1, x = static_cast<uint32_t>(state >> 33) & 0x3f3f3f3fu;
  const auto noise_bytes = static_cast<int64_t>(noise.size() * 4);
  const DeviceMemory k = allocate(bytes * kCaches), v = allocate(bytes * kCaches), out = allocate(q_bytes);
  for (int64_t at = 0; at < bytes * kCaches; at += noise_bytes)
    for (const DeviceMemory* m : {&k, &v})
      check(cudaMemcpy(m->get() + at, noise.data(), static_cast<size_t>(std::min(noise_bytes, bytes * kCaches - at)), cudaMemcpyHostToDevice),
            "fill");
  const DeviceArray q(noise.data(), q_bytes), q_start(starts.data(), (batch + 1) * 4), kv_lens(lens.data(), batch * 4),
      pages(table.data(), blocks * 4);
  AttentionParams p{.q = q.data<void>(), .q_stride = heads * dim, .out = out.get(), .out_stride = heads * dim, .num_seqs = batch, .total_q = batch};
  p.q_start = q_start.data<int32_t>(), p.kv_lens = kv_lens.data<int32_t>(), p.block_table = pages.data<int32_t>();
  p.num_blocks = blocks, p.max_blocks = kv_len / block, p.scale = 0.088f, p.longest_q = 1, p.longest_kv = kv_len;
  const int64_t room = kernel.workspace(desc, {.tokens = batch, .sequences = batch, .longest_kv = kv_len});
  const DeviceMemory workspace = allocate(room + 1);
  ExecContext ctx;
  ctx.workspace = {workspace.get(), static_cast<size_t>(room)};
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin), "cudaEventCreate"), check(cudaEventCreate(&end), "cudaEventCreate");
  std::vector<float> times(31);
  for (size_t i = 0; i < times.size(); ++i) {
    p.k = k.get() + static_cast<int64_t>(i) % kCaches * bytes, p.v = v.get() + static_cast<int64_t>(i) % kCaches * bytes;
    check(cudaEventRecord(begin), "cudaEventRecord");
    kernel.launch(ctx, desc, p);
    check(cudaEventRecord(end), "cudaEventRecord"), check(cudaEventSynchronize(end), kName);
    check(cudaEventElapsedTime(&times[i], begin, end), "cudaEventElapsedTime");
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  const double us = times[times.size() / 2] * 1e3;
  fmt::print("decode {} {}x{} block {}: median {:.1f} us, {:.0f} GB/s\n", to_text(kv), batch, kv_len, block, us,
             2.0 * static_cast<double>(bytes) / us / 1e3);
}

}  // namespace attune::device_test
