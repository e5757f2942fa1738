#include "kv/block_pool.h"

#include <algorithm>

#include "core/error.h"

namespace attune {

BlockPool::BlockPool(int64_t num_blocks, int64_t block_size, bool prefix_caching)
    : block_size_(block_size), prefix_caching_(prefix_caching), blocks_(static_cast<size_t>(num_blocks)) {
  for (int32_t b = 0; b < num_blocks; ++b) blocks_[static_cast<size_t>(b)].place = free_.insert(free_.end(), b);
}

std::optional<int32_t> BlockPool::allocate() {
  if (free_.empty()) return std::nullopt;
  const int32_t index = free_.front();
  in_use_.splice(in_use_.begin(), free_, free_.begin());
  Block& block = blocks_[static_cast<size_t>(index)];
  forget(block, index);
  block.references = 1;
  ++used_;
  return index;
}

void BlockPool::add_reference(int32_t index) {
  Block& block = blocks_[static_cast<size_t>(index)];
  if (block.references++ > 0) return;
  in_use_.splice(in_use_.begin(), free_, block.place);
  ++used_;
}

void BlockPool::release(int32_t index) {
  Block& block = blocks_[static_cast<size_t>(index)];
  if (block.references <= 0) fail(ErrorCode::internal, "block pool", "a block in use", fmt::format("block {} without references", index));
  if (--block.references > 0) return;
  // A block nobody can find again is better reused before one that a later prompt may hit.
  free_.splice(block.prefix ? free_.end() : free_.begin(), in_use_, block.place);
  --used_;
}

uint64_t BlockPool::hash(PrefixId parent, std::span<const int32_t> tokens) {
  uint64_t h = parent * 0x9E3779B97F4A7C15ull + 0x632BE59BD9B4E019ull;
  for (int32_t t : tokens) {
    h ^= static_cast<uint32_t>(t);
    h *= 0xFF51AFD7ED558CCDull;
    h ^= h >> 32;
  }
  return h;
}

int32_t BlockPool::lookup(uint64_t key, PrefixId parent, std::span<const int32_t> tokens) const {
  for (auto [it, end] = cached_.equal_range(key); it != end; ++it) {
    const Block& b = blocks_[static_cast<size_t>(it->second)];
    if (b.parent == parent && std::equal(tokens.begin(), tokens.end(), b.tokens.begin(), b.tokens.end())) return it->second;
  }
  return -1;
}

PrefixId BlockPool::register_full(int32_t index, PrefixId parent, std::span<const int32_t> tokens) {
  if (!prefix_caching_) return 0;
  const uint64_t key = hash(parent, tokens);
  if (const int32_t known = lookup(key, parent, tokens); known >= 0) return blocks_[static_cast<size_t>(known)].prefix;
  Block& block = blocks_[static_cast<size_t>(index)];
  forget(block, index);
  block.tokens.assign(tokens.begin(), tokens.end());
  cached_.emplace(key, index);
  block.prefix = next_prefix_++;  // last: nothing above is seen if memory runs out
  block.parent = parent;
  block.key = key;
  return block.prefix;
}

std::optional<BlockPool::Hit> BlockPool::find(PrefixId parent, std::span<const int32_t> tokens) {
  if (!prefix_caching_) return std::nullopt;
  const int32_t index = lookup(hash(parent, tokens), parent, tokens);
  if (index < 0) return std::nullopt;
  add_reference(index);
  return Hit{index, blocks_[static_cast<size_t>(index)].prefix};
}

void BlockPool::forget(Block& block, int32_t index) {
  if (block.prefix == 0) return;
  for (auto [it, end] = cached_.equal_range(block.key); it != end; ++it) {
    if (it->second != index) continue;
    cached_.erase(it);
    break;
  }
  block.prefix = 0;
  block.tokens.clear();
}

void BlockPool::check() const {
  int64_t used = 0;
  for (const Block& b : blocks_) used += b.references > 0;
  if (used != used_ || used + free() != total())
    fail(ErrorCode::internal, "block pool", fmt::format("free + used = {}", total()),
         fmt::format("{} free, {} used, {} referenced", free(), used_, used));
  for (int32_t f : free_)
    if (blocks_[static_cast<size_t>(f)].references != 0)
      fail(ErrorCode::internal, "block pool", "free blocks without references", fmt::format("block {}", f));
  for (const auto& [key, index] : cached_) {
    const Block& b = blocks_[static_cast<size_t>(index)];
    if (b.prefix == 0 || b.key != key)
      fail(ErrorCode::internal, "block pool", "registered blocks in the prefix cache", fmt::format("block {}", index));
  }
}

}  // namespace attune
