#include "kv/kv_cache.h"

#include "core/error.h"

namespace attune {
namespace {

Buffer scales_on(Device& device, const std::vector<float>& scales, size_t expected, const Stream& stream) {
  if (scales.size() != expected) fail(ErrorCode::internal, "KV scales", std::to_string(expected), std::to_string(scales.size()));
  const size_t bytes = scales.size() * sizeof(float);
  Buffer out = device.allocate(bytes, "KV scales");
  device.copy(out.data(), scales.data(), bytes, stream);
  return out;
}

}  // namespace

KvCache::KvCache(Device& device, std::vector<KvLayer> layers, DType dtype, Scales scales, int64_t num_blocks, int64_t block_size)
    : device_(device), layers_(std::move(layers)), dtype_(dtype), scales_(scales), num_blocks_(num_blocks), block_size_(block_size) {
  const bool given = scales == Scales::tensor || scales == Scales::head;
  const Stream stream = given ? device.make_stream() : Stream();
  need_memory(device, static_cast<size_t>(bytes_per_token(layers_, dtype, scales) * num_blocks * block_size), "KV cache");
  for (const KvLayer& l : layers_) {
    const auto slots = static_cast<size_t>(num_blocks * l.num_kv_heads * block_size);
    const size_t bytes = slots * static_cast<size_t>(l.head_dim) * size_of(dtype);
    Pages p{device.allocate(bytes, "KV cache"), device.allocate(bytes, "KV cache"), Buffer(), Buffer()};
    if (scales == Scales::token_head) {
      p.k_scale = device.allocate(slots * sizeof(float), "KV scales");
      p.v_scale = device.allocate(slots * sizeof(float), "KV scales");
    }
    if (given) {
      const size_t count = scales == Scales::tensor ? 1 : static_cast<size_t>(l.num_kv_heads);
      p.k_scale = scales_on(device, l.k_scale, count, stream);
      p.v_scale = scales_on(device, l.v_scale, count, stream);
    }
    pages_.push_back(std::move(p));
  }
  if (given) device.synchronize(stream);
}

void KvCache::copy_block(int32_t from, int32_t to, const Stream& stream) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    const size_t slots = static_cast<size_t>(layers_[i].num_kv_heads * block_size_);
    const auto copy = [&](void* base, size_t bytes) {
      char* pages = static_cast<char*>(base);
      if (base) device_.copy(pages + bytes * static_cast<size_t>(to), pages + bytes * static_cast<size_t>(from), bytes, stream);
    };
    const size_t page = slots * static_cast<size_t>(layers_[i].head_dim) * size_of(dtype_);
    copy(k(i), page);
    copy(v(i), page);
    if (scales_ != Scales::token_head) continue;
    copy(k_scale(i), slots * sizeof(float));
    copy(v_scale(i), slots * sizeof(float));
  }
}

int64_t KvCache::bytes_per_token(const std::vector<KvLayer>& layers, DType dtype, Scales scales) {
  int64_t bytes = 0;
  for (const KvLayer& l : layers) {
    bytes += 2 * l.num_kv_heads * l.head_dim * static_cast<int64_t>(size_of(dtype));
    if (scales == Scales::token_head) bytes += 2 * l.num_kv_heads * static_cast<int64_t>(sizeof(float));
  }
  return bytes;
}

}  // namespace attune
