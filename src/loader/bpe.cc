#include "loader/bpe.h"

#include <algorithm>
#include <queue>

#include "core/error.h"
#include "core/utf8.h"

namespace attune {
namespace {

constexpr size_t kMaxMerges = size_t{1} << 24;
constexpr size_t kShortWord = 48;  // symbols up to which scanning for the best merge beats a queue
constexpr size_t kMaxSymbols = INT32_MAX - 1;
constexpr int32_t kGone = -2;

uint64_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t pair_of(int32_t left, int32_t right) { return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right); }

std::string in_quotes(std::string_view s) { return fmt::format("\"{}\"", printable(s)); }

}  // namespace

/// Direct-mapped: a word has one slot, and a newer word takes it.
struct Bpe::Cache {
  static constexpr size_t kSlots = 8192;
  static constexpr size_t kMaxBytes = 31;
  static constexpr size_t kMaxIds = 8;
  struct Slot {
    uint8_t bytes = 0;  // length of the word; 0 marks a free slot
    uint8_t count = 0;
    char word[kMaxBytes - 1];
    int32_t ids[kMaxIds];
  };
  std::vector<Slot> slots = std::vector<Slot>(kSlots);

  Slot& slot(std::string_view word) { return slots[std::hash<std::string_view>{}(word) % kSlots]; }
  static bool fits(std::string_view word) { return word.size() < kMaxBytes; }
};

void Bpe::MergeTable::reserve(size_t n) {
  size_t size = 16;
  while (size < 2 * n) size *= 2;
  slots_.assign(size, Merge{});
  mask_ = size - 1;
}

size_t Bpe::MergeTable::slot(uint64_t pair) const {
  size_t i = mixed(pair) & mask_;
  while (slots_[i].pair != Merge::kEmpty && slots_[i].pair != pair) i = (i + 1) & mask_;
  return i;
}

void Bpe::MergeTable::set(int32_t left, int32_t right, uint32_t rank, int32_t result) {
  const uint64_t pair = pair_of(left, right);
  slots_[slot(pair)] = {pair, rank, result};
}

const Bpe::Merge& Bpe::MergeTable::find(int32_t left, int32_t right) const { return slots_[slot(pair_of(left, right))]; }

Bpe::Bpe(TokenizerFile& file, const JsonNode& model) : cache_(std::make_shared<Cache>()) {
  if (!file.has_vocab) invalid(model.path(), "a member \"vocab\" that is an object", "none");
  if (!file.has_merges) invalid(model.path(), "a member \"merges\" that is an array", "none");
  for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.has(affix) && !model.at(affix).text().empty()) {
      fail(ErrorCode::not_supported, fmt::format("{}.{}", model.path(), affix), "null or \"\"", in_quotes(model.at(affix).text()));
    }
  }
  if (model.has("dropout") && model.at("dropout").number() != 0) {
    fail(ErrorCode::not_supported, model.path() + ".dropout", "null or 0", fmt::format("{}", model.at("dropout").number()));
  }
  fuse_unknown_ = model.flag("fuse_unk", false);
  byte_fallback_ = model.flag("byte_fallback", false);
  ignore_merges_ = model.flag("ignore_merges", false);
  read_vocab(file);
  read_merges(file);
  read_characters();
  if (model.has("unk_token")) {
    const std::string unknown = model.at("unk_token").text();
    const auto id = find(unknown);
    if (!id) invalid(model.path() + ".unk_token", "a token of the vocabulary", in_quotes(unknown));
    unknown_id_ = *id;
  }
}

void Bpe::read_vocab(TokenizerFile& file) {
  int32_t largest = -1;
  for (const auto& [token, id] : file.vocab) largest = std::max(largest, id);
  if (const int64_t most = largest_token_id(file.vocab.size()); largest > most)
    invalid("tokenizer.json: model.vocab", fmt::format("ids of at most {} for {} tokens", most, file.vocab.size()), std::to_string(largest));
  tokens_.resize(static_cast<size_t>(largest) + 1);
  std::vector<bool> used(tokens_.size());
  ids_.reserve(file.vocab.size());
  for (auto& [token, id] : file.vocab) {
    const auto i = static_cast<size_t>(id);
    if (used[i]) {
      invalid("tokenizer.json: model.vocab", "one token an id", fmt::format("id {} for {} and {}", id, in_quotes(tokens_[i]), in_quotes(token)));
    }
    used[i] = true;
    tokens_[i] = std::move(token);
    if (!ids_.emplace(tokens_[i], id).second) invalid("tokenizer.json: model.vocab", "distinct tokens", in_quotes(tokens_[i]) + " twice");
  }
  file.vocab.clear();
}

void Bpe::read_merges(const TokenizerFile& file) {
  if (file.merges.size() > kMaxMerges) {
    invalid("tokenizer.json: model.merges", fmt::format("at most {} merges", kMaxMerges), std::to_string(file.merges.size()));
  }
  merges_.reserve(file.merges.size());
  const auto id_of = [&](size_t index, const std::string& token) {
    const auto it = ids_.find(token);
    if (it == ids_.end()) {
      invalid(fmt::format("tokenizer.json: model.merges[{}]", index), "tokens of the vocabulary", in_quotes(token));
    }
    return it->second;
  };
  for (size_t i = 0; i < file.merges.size(); ++i) {
    const auto& [left, right] = file.merges[i];
    if (left.empty() || right.empty()) invalid(fmt::format("tokenizer.json: model.merges[{}]", i), "two tokens that are not empty", "an empty one");
    const int32_t left_id = id_of(i, left);
    const int32_t right_id = id_of(i, right);
    merges_.set(left_id, right_id, static_cast<uint32_t>(i), id_of(i, left + right));
  }
}

void Bpe::read_characters() {
  for (char32_t c = 0; c < character_ids_.size(); ++c) {
    std::string character;
    utf8_append(character, c);
    character_ids_[c] = find(character).value_or(-1);
  }
  for (size_t b = 0; b < byte_ids_.size(); ++b) byte_ids_[b] = find(fmt::format("<0x{:02X}>", b)).value_or(-1);
}

std::optional<int32_t> Bpe::find(std::string_view token) const {
  const auto it = ids_.find(token);
  return it != ids_.end() ? std::optional(it->second) : std::nullopt;
}

int32_t Bpe::character_id(std::string_view character) const {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return character_ids_[byte(0)];
  if (character.size() == 2 && byte(0) < 0xc8) return character_ids_[static_cast<size_t>((byte(0) & 0x1f) << 6 | (byte(1) & 0x3f))];
  const auto it = ids_.find(character);
  return it != ids_.end() ? it->second : -1;
}

Bpe::Encoder::Encoder(const Bpe& bpe) : bpe_(bpe), lease_(bpe.cache_mutex_, std::try_to_lock) {}
Bpe::Encoder::~Encoder() = default;

void Bpe::Encoder::encode(std::string_view word, std::vector<int32_t>& out) {
  if (word.empty()) return;
  if (bpe_.ignore_merges_) {
    if (const auto it = bpe_.ids_.find(word); it != bpe_.ids_.end()) {
      out.push_back(it->second);
      return;
    }
  }
  Cache::Slot* slot = lease_.owns_lock() && Cache::fits(word) ? &bpe_.cache_->slot(word) : nullptr;
  if (slot != nullptr && std::string_view(slot->word, slot->bytes) == word) {
    out.insert(out.end(), slot->ids, slot->ids + slot->count);
    return;
  }
  split(word);
  if (symbols_.size() <= kShortWord) {
    merge_short();
  } else {
    merge_long();
  }
  const size_t before = out.size();
  for (const Symbol& s : symbols_) {
    if (s.next != kGone) out.push_back(s.id);
  }
  const size_t count = out.size() - before;
  if (slot != nullptr && count <= Cache::kMaxIds) {
    slot->bytes = static_cast<uint8_t>(word.size());
    slot->count = static_cast<uint8_t>(count);
    std::copy(word.begin(), word.end(), slot->word);
    std::copy(out.begin() + static_cast<std::ptrdiff_t>(before), out.end(), slot->ids);
  }
}

void Bpe::Encoder::split(std::string_view word) {
  if (word.size() > kMaxSymbols) invalid("tokenizer", fmt::format("at most {} bytes without a break", kMaxSymbols), std::to_string(word.size()));
  symbols_.clear();
  unknown_ = -1;
  const auto flush_unknown = [&] {
    if (unknown_ >= 0) symbols_.push_back({unknown_, 0, 0});
    unknown_ = -1;
  };
  for (size_t at = 0; at < word.size();) {
    const size_t begin = at;
    at += std::max<size_t>(1, utf8_sequence(word.substr(at)));
    const std::string_view character = word.substr(begin, at - begin);
    const int32_t id = bpe_.character_id(character);
    if (id >= 0) {
      flush_unknown();
      symbols_.push_back({id, 0, 0});
    } else {
      add_unknown(character);
    }
  }
  flush_unknown();
}

/// A character without a token: its bytes if all have tokens, else the unknown token if there is one, else nothing. As in the
/// `tokenizers` package, bytes do not end a run of unknown characters.
void Bpe::Encoder::add_unknown(std::string_view character) {
  const auto byte_id = [&](char c) { return bpe_.byte_ids_[static_cast<unsigned char>(c)]; };
  if (bpe_.byte_fallback_ && std::all_of(character.begin(), character.end(), [&](char c) { return byte_id(c) >= 0; })) {
    for (const char c : character) symbols_.push_back({byte_id(c), 0, 0});
    return;
  }
  if (unknown_ >= 0 && !bpe_.fuse_unknown_) symbols_.push_back({unknown_, 0, 0});
  unknown_ = bpe_.unknown_id_;
}

/// Repeats the leftmost merge of lowest rank; quadratic, for few symbols.
void Bpe::Encoder::merge_short() {
  const auto rank = [&](size_t i) { return bpe_.merges_.find(symbols_[i].id, symbols_[i + 1].id).rank; };
  ranks_.clear();
  for (size_t i = 0; i + 1 < symbols_.size(); ++i) ranks_.push_back(rank(i));
  while (!ranks_.empty()) {
    const auto best = std::min_element(ranks_.begin(), ranks_.end());
    if (*best == kNoRank) return;
    const auto i = static_cast<size_t>(best - ranks_.begin());
    symbols_[i].id = bpe_.merges_.find(symbols_[i].id, symbols_[i + 1].id).result;
    symbols_.erase(symbols_.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    ranks_.erase(best);
    if (i < ranks_.size()) ranks_[i] = rank(i);
    if (i > 0) ranks_[i - 1] = rank(i - 1);
  }
}

/// The same with a queue: n log n.
void Bpe::Encoder::merge_long() {
  struct Candidate {
    uint32_t rank;
    int32_t at;
    int32_t left, right;  // the ids when it was queued: it is stale if they have changed
    bool operator>(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int32_t at) {
    const Symbol& s = symbols_[static_cast<size_t>(at)];
    if (s.next < 0) return;
    const int32_t right = symbols_[static_cast<size_t>(s.next)].id;
    const uint32_t rank = bpe_.merges_.find(s.id, right).rank;
    if (rank != kNoRank) queue.push({rank, at, s.id, right});
  };
  const auto n = static_cast<int32_t>(symbols_.size());
  for (int32_t i = 0; i < n; ++i) {
    symbols_[static_cast<size_t>(i)].previous = i - 1;
    symbols_[static_cast<size_t>(i)].next = i + 1 < n ? i + 1 : -1;
  }
  for (int32_t i = 0; i + 1 < n; ++i) offer(i);
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& left = symbols_[static_cast<size_t>(top.at)];
    if (left.next < 0 || left.id != top.left || symbols_[static_cast<size_t>(left.next)].id != top.right) continue;
    Symbol& right = symbols_[static_cast<size_t>(left.next)];
    left.id = bpe_.merges_.find(top.left, top.right).result;
    left.next = right.next;
    right.next = kGone;
    if (left.next >= 0) symbols_[static_cast<size_t>(left.next)].previous = top.at;
    if (left.previous >= 0) offer(left.previous);
    offer(top.at);
  }
}

}  // namespace attune
