#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kv/block_pool.h"

namespace attune {

/// The pages of one sequence, in order of position, and how far they are registered for reuse.
class BlockTable {
 public:
  explicit BlockTable(BlockPool& pool) : pool_(&pool) {}
  ~BlockTable() { clear(); }
  BlockTable(const BlockTable&) = delete;
  BlockTable& operator=(const BlockTable&) = delete;

  std::span<const int32_t> blocks() const { return blocks_; }
  int64_t capacity() const { return static_cast<int64_t>(blocks_.size()) * pool_->block_size(); }

  /// Blocks that reserve(tokens) would take from the pool.
  int64_t missing(int64_t tokens) const;
  /// Makes room for `tokens` positions; false, with nothing taken, if the pool has too few blocks.
  bool reserve(int64_t tokens);

  /// Takes the longest cached prefix of `tokens` in whole blocks, never all of `tokens`; returns its length in tokens. Only on an empty table.
  int64_t match_prefix(std::span<const int32_t> tokens);

  /// Registers every block that `tokens` (all that have been computed) fill and that is not registered yet.
  void register_computed(std::span<const int32_t> tokens);

  /// Shares another table's blocks that hold its first `tokens` positions.
  void share(const BlockTable& other, int64_t tokens);

  /// Copy-on-write: if the block of `position` is shared, replaces it by a fresh one and returns {from, to}; {−1, −1} if it is not shared,
  /// {−1, −2} if the pool is empty.
  struct Copy {
    int32_t from, to;
  };
  Copy make_writable(int64_t position);

  void clear();

 private:
  BlockPool* pool_;
  std::vector<int32_t> blocks_;
  std::vector<PrefixId> prefixes_;  // of the leading registered blocks
};

}  // namespace attune
