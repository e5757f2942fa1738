#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace attune {

/// Identity of a cached prefix: the chain of full blocks that led to it. 0 is the empty prefix.
using PrefixId = uint64_t;

/// The pages of a KV cache: reference counts, a free list in least-recently-used order, and the prefix cache. Full blocks keep their contents
/// after the last reference is gone and are found again by (parent prefix, token ids), compared in full: a hash collision cannot matter.
class BlockPool {
 public:
  BlockPool(int64_t num_blocks, int64_t block_size, bool prefix_caching);

  int64_t block_size() const { return block_size_; }
  int64_t total() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }
  int64_t used() const { return used_; }

  /// A block with one reference, taken from the least recently used free ones; nullopt if none is free.
  std::optional<int32_t> allocate();

  void add_reference(int32_t index);
  /// Drops a reference; at zero the block joins the free list (its contents stay findable if it was registered).
  void release(int32_t index);
  int32_t references(int32_t block) const { return blocks_[static_cast<size_t>(block)].references; }

  /// Makes a full block findable. `tokens` has block_size ids. Returns the prefix the block completes; if an equal block is registered
  /// already, that one's prefix (the caller keeps its own copy).
  PrefixId register_full(int32_t index, PrefixId parent, std::span<const int32_t> tokens);

  /// Finds the block that follows `parent` with these tokens and takes a reference; nullopt if absent.
  struct Hit {
    int32_t block;
    PrefixId prefix;
  };
  std::optional<Hit> find(PrefixId parent, std::span<const int32_t> tokens);

  /// Throws Internal unless free + used = total and every list agrees with the counts.
  void check() const;

 private:
  struct Block {
    int32_t references = 0;
    PrefixId prefix = 0;  // 0: not registered
    PrefixId parent = 0;
    uint64_t key = 0;
    std::vector<int32_t> tokens;
    std::list<int32_t>::iterator place;  // in free_, or in in_use_ if references > 0
  };

  static uint64_t hash(PrefixId parent, std::span<const int32_t> tokens);
  int32_t lookup(uint64_t key, PrefixId parent, std::span<const int32_t> tokens) const;  // −1: absent
  void forget(Block& block, int32_t index);

  int64_t block_size_;
  bool prefix_caching_;
  int64_t used_ = 0;
  PrefixId next_prefix_ = 1;
  std::vector<Block> blocks_;
  // Each block owns one node for ever: taking and releasing a block allocate nothing, so that a destructor may release.
  std::list<int32_t> free_;  // front: reused first
  std::list<int32_t> in_use_;
  std::unordered_multimap<uint64_t, int32_t> cached_;
};

}  // namespace attune
