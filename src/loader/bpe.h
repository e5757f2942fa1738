#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "loader/tokenizer_json.h"

namespace attune {

/// Byte-pair encoding: the `model` of a tokenizer.json.
class Bpe {
 public:
  /// Takes vocabulary and merges out of `file`; `model` is its member "model".
  Bpe(TokenizerFile& file, const JsonNode& model);

  /// Words seen lately and their ids; of fixed size. One lives in the model and is lent to one encoding at a time.
  struct Cache;

  /// Encodes words one after another.
  class Encoder {
   public:
    explicit Encoder(const Bpe& bpe);
    ~Encoder();
    Encoder(const Encoder&) = delete;
    Encoder& operator=(const Encoder&) = delete;

    /// Appends the ids of one word (a piece of the pre-tokenizer) to `out`.
    void encode(std::string_view word, std::vector<int32_t>& out);

   private:
    struct Symbol {
      int32_t id;
      int32_t previous;
      int32_t next;  // −1 behind the last; kGone for a symbol that became part of its left neighbour
    };
    void split(std::string_view word);
    void add_unknown(std::string_view character);
    void merge_short();
    void merge_long();

    const Bpe& bpe_;
    std::unique_lock<std::mutex> lease_;  // held if the cache is ours
    std::vector<Symbol> symbols_;
    std::vector<uint32_t> ranks_;
    int32_t unknown_ = -1;  // an unknown token not yet added, so that the next can be fused with it
  };

  /// Tokens by id; an empty string where an id is not used.
  const std::vector<std::string>& tokens() const { return tokens_; }
  std::optional<int32_t> find(std::string_view token) const;

 private:
  static constexpr uint32_t kNoRank = UINT32_MAX;

  struct Merge {
    uint64_t pair = kEmpty;
    uint32_t rank = kNoRank;
    int32_t result = -1;
    static constexpr uint64_t kEmpty = UINT64_MAX;
  };

  /// Merges by pair of ids: open addressing, at most half full.
  class MergeTable {
   public:
    void reserve(size_t n);
    void set(int32_t left, int32_t right, uint32_t rank, int32_t result);
    /// The entry of the pair; its rank is kNoRank if there is none.
    const Merge& find(int32_t left, int32_t right) const;

   private:
    size_t slot(uint64_t pair) const;
    std::vector<Merge> slots_;
    size_t mask_ = 0;
  };

  void read_vocab(TokenizerFile& file);
  void read_merges(const TokenizerFile& file);
  void read_characters();
  int32_t character_id(std::string_view character) const;

  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, int32_t> ids_;
  MergeTable merges_;
  std::array<int32_t, 0x200> character_ids_{};  // ids of one-character tokens, by code point
  std::array<int32_t, 256> byte_ids_{};         // ids of <0x00> … <0xFF>; −1 where absent
  int32_t unknown_id_ = -1;
  bool fuse_unknown_ = false;
  bool byte_fallback_ = false;
  bool ignore_merges_ = false;
  mutable std::mutex cache_mutex_;
  std::shared_ptr<Cache> cache_;
};

}  // namespace attune
