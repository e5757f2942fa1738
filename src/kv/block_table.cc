#include "kv/block_table.h"

#include <algorithm>

namespace attune {

int64_t BlockTable::missing(int64_t tokens) const {
  const int64_t size = pool_->block_size();
  return std::max<int64_t>(0, (tokens + size - 1) / size - static_cast<int64_t>(blocks_.size()));
}

bool BlockTable::reserve(int64_t tokens) {
  const int64_t need = missing(tokens);
  if (need > pool_->free()) return false;
  blocks_.reserve(blocks_.size() + static_cast<size_t>(need));  // before a block is taken: none may be lost
  for (int64_t i = 0; i < need; ++i) blocks_.push_back(*pool_->allocate());
  return true;
}

int64_t BlockTable::match_prefix(std::span<const int32_t> tokens) {
  const int64_t size = pool_->block_size();
  int64_t matched = 0;
  blocks_.reserve(blocks_.size() + tokens.size() / static_cast<size_t>(size));
  prefixes_.reserve(prefixes_.size() + tokens.size() / static_cast<size_t>(size));
  // At least one token must be computed: its logits are wanted.
  while (matched + size < static_cast<int64_t>(tokens.size())) {
    const PrefixId parent = prefixes_.empty() ? 0 : prefixes_.back();
    const auto hit = pool_->find(parent, tokens.subspan(static_cast<size_t>(matched), static_cast<size_t>(size)));
    if (!hit) break;
    blocks_.push_back(hit->block);
    prefixes_.push_back(hit->prefix);
    matched += size;
  }
  return matched;
}

void BlockTable::register_computed(std::span<const int32_t> tokens) {
  const auto size = static_cast<size_t>(pool_->block_size());
  for (size_t i = prefixes_.size(); (i + 1) * size <= tokens.size() && i < blocks_.size(); ++i) {
    const PrefixId id = pool_->register_full(blocks_[i], i == 0 ? 0 : prefixes_[i - 1], tokens.subspan(i * size, size));
    if (id == 0) return;
    prefixes_.push_back(id);
  }
}

void BlockTable::share(const BlockTable& other, int64_t tokens) {
  clear();
  const int64_t size = pool_->block_size();
  const auto count = static_cast<size_t>((tokens + size - 1) / size);
  blocks_.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    pool_->add_reference(other.blocks_[i]);
    blocks_.push_back(other.blocks_[i]);
  }
  const size_t full = std::min(other.prefixes_.size(), static_cast<size_t>(tokens / size));
  prefixes_.assign(other.prefixes_.begin(), other.prefixes_.begin() + static_cast<std::ptrdiff_t>(full));
}

BlockTable::Copy BlockTable::make_writable(int64_t position) {
  const auto index = static_cast<size_t>(position / pool_->block_size());
  if (index >= blocks_.size() || pool_->references(blocks_[index]) <= 1) return {-1, -1};
  const auto fresh = pool_->allocate();
  if (!fresh) return {-1, -2};
  const int32_t from = blocks_[index];
  blocks_[index] = *fresh;
  pool_->release(from);
  return {from, *fresh};
}

void BlockTable::clear() {
  // Last block first, so that the blocks of a long shared prefix are reused last.
  for (auto it = blocks_.rbegin(); it != blocks_.rend(); ++it) pool_->release(*it);
  blocks_.clear();
  prefixes_.clear();
}

}  // namespace attune
