#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <tuple>
#include <utility>

#include "core/error.h"
#include "core/utf8.h"
#include "loader/safetensors.h"

namespace attune {

namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr size_t kMaxDepth = 127;  // of the JSON reader of the reference

constexpr std::array<std::pair<std::string_view, int>, 22> kBits{
    {{"BOOL", 8},    {"F4", 4},          {"F6_E2M3", 6},     {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8}, {"F8_E4M3", 8},
     {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16}, {"F16", 16}, {"BF16", 16},   {"I32", 32},
     {"U32", 32},    {"F32", 32},        {"C64", 64},        {"F64", 64},    {"I64", 64}, {"U64", 64}}};

const std::pair<std::string_view, int>* find_dtype(std::string_view name) {
  const auto it = std::find_if(kBits.begin(), kBits.end(), [&](const auto& entry) { return entry.first == name; });
  return it == kBits.end() ? nullptr : &*it;
}

/// Fills the header from the events of the JSON reader. It takes what the derived reader of the reference takes: unknown members of
/// a tensor are skipped, a tensor may be the list [dtype, shape, data_offsets], and a dtype may be written {"F32": null}.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(std::string_view where, SafetensorsHeader& header) : where_(where), header_(header) {}

  bool null() override {
    if (at() == At::root && in_metadata_) return true;
    if (at() == At::dtype && entry_ && !entry_->dtype.empty()) return true;
    return ignored("null");
  }
  bool boolean(bool) override { return ignored("a boolean"); }
  bool number_integer(number_integer_t) override { return ignored("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return ignored("a number that is no unsigned 64-bit integer"); }
  bool binary(binary_t&) override { return false; }

  bool number_unsigned(number_unsigned_t value) override {
    if (at() == At::shape) return entry_->shape.push_back(value), true;
    if (at() == At::offsets) {
      if (offsets_ == 2) refuse("two data_offsets", "more");
      (offsets_++ == 0 ? entry_->begin : entry_->end) = value;
      return true;
    }
    return ignored("a number");
  }

  bool string(string_t& value) override {
    if (at() == At::metadata) return *metadata_value_ = std::move(value), true;
    if (at() == At::member && field_ == kDtype) return set_dtype(value);
    if (at() == At::list && next_field() == kDtype) return set_dtype(value);
    return ignored("a string");
  }

  bool key(string_t& name) override {
    switch (at()) {
      case At::root: return start_entry(name);
      case At::metadata: return start_metadata(name);
      case At::member: return start_member(name);
      case At::dtype:
        if (!entry_->dtype.empty()) refuse("one dtype", "several");
        return set_dtype(name);
      default: return true;
    }
  }

  bool start_object(size_t) override {
    if (stack_.empty()) return push(At::root);
    if (at() == At::root) return push(in_metadata_ ? At::metadata : At::member);
    if (at() == At::member && field_ == kDtype) return push(At::dtype);
    if (at() == At::list && next_field() == kDtype) return push(At::dtype);
    return ignored("an object"), push(At::skipped);
  }

  bool start_array(size_t) override {
    if (stack_.empty()) refuse("a JSON object", "a list");
    if (at() == At::root && !in_metadata_) return push(At::list);
    const int field = at() == At::member ? field_ : at() == At::list ? next_field() : kNone;
    if (field == kShape) return push(At::shape);
    if (field == kOffsets) return offsets_ = 0, push(At::offsets);
    return ignored("a list"), push(At::skipped);
  }

  bool end_object() override {
    const At closed = pop();
    if (closed == At::dtype && entry_->dtype.empty()) refuse("a dtype", "an empty object");
    if (closed == At::member) require_all_fields();
    return true;
  }

  bool end_array() override {
    const At closed = pop();
    if (closed == At::offsets && offsets_ != 2) refuse("two data_offsets", fmt::format("{}", offsets_));
    if (closed == At::list) require_all_fields();
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    invalid(where_, "a JSON header", fmt::format("a syntax error at byte {} of the header", position ? position - 1 : 0));
  }

 private:
  /// Which kind of container is open; `member` is a tensor's object and `list` its list form.
  enum class At : uint8_t { root, metadata, member, list, dtype, shape, offsets, skipped };
  static constexpr int kDtype = 0, kShape = 1, kOffsets = 2, kOther = 3, kNone = -1;
  static constexpr std::array<std::string_view, 3> kFields{"dtype", "shape", "data_offsets"};

  At at() const { return stack_.empty() ? At::skipped : stack_.back(); }

  bool push(At kind) {
    if (stack_.size() >= kMaxDepth) refuse(fmt::format("at most {} levels of JSON", kMaxDepth), "deeper nesting");
    stack_.push_back(kind);
    return true;
  }

  At pop() {
    const At closed = stack_.back();
    stack_.pop_back();
    return closed;
  }

  [[noreturn]] void refuse(std::string_view expected, std::string_view got) const {
    invalid(name_.empty() ? std::string(where_) : fmt::format("{}: {}", where_, printable(name_)), expected, got);
  }

  /// A value that carries nothing for us: fine inside an unknown member, an error everywhere else.
  bool ignored(std::string_view what) const {
    if (at() == At::skipped && !stack_.empty()) return true;
    if (at() == At::member && field_ == kOther) return true;
    if (stack_.empty()) refuse("a JSON object", what);
    if (at() == At::metadata) refuse("metadata values that are strings", what);
    if (at() == At::shape || at() == At::offsets) refuse("unsigned integers in shape and data_offsets", what);
    refuse("an object with dtype, shape and data_offsets", what);
  }

  bool start_entry(const string_t& name) {
    name_ = name;
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) {
      if (std::exchange(metadata_seen_, true)) refuse("each key once", "it twice");
      return true;
    }
    entry_ = &(header_.entries[name] = {});  // of a name given twice the last one stands, as in the reference
    seen_ = {};
    return true;
  }

  bool start_metadata(const string_t& name) {
    metadata_value_ = &header_.metadata[name];
    return true;
  }

  bool start_member(std::string_view name) {
    const auto it = std::find(kFields.begin(), kFields.end(), name);
    field_ = static_cast<int>(it - kFields.begin());
    if (field_ != kOther && std::exchange(seen_[static_cast<size_t>(field_)], true)) refuse("each member once", fmt::format("{} twice", name));
    return true;
  }

  /// The field that the next element of a tensor's list form stands for.
  int next_field() {
    for (int i = kDtype; i <= kOffsets; ++i)
      if (!std::exchange(seen_[static_cast<size_t>(i)], true)) return i;
    refuse("a list of dtype, shape and data_offsets", "more elements");
  }

  bool set_dtype(const string_t& name) {
    const auto* known = find_dtype(name);
    if (!known) refuse("a dtype of the format", fmt::format("'{}'", printable(name)));
    entry_->dtype = known->first;
    return true;
  }

  void require_all_fields() {
    for (size_t i = 0; i < kFields.size(); ++i)
      if (!seen_[i]) refuse("dtype, shape and data_offsets", fmt::format("no {}", kFields[i]));
  }

  std::string_view where_;
  SafetensorsHeader& header_;
  std::vector<At> stack_;
  std::string name_;
  bool in_metadata_ = false, metadata_seen_ = false;
  std::string* metadata_value_ = nullptr;
  SafetensorsEntry* entry_ = nullptr;
  std::array<bool, 3> seen_{};
  int field_ = kOther, offsets_ = 0;
};

bool multiply(uint64_t& product, uint64_t factor) { return !__builtin_mul_overflow(product, factor, &product); }

/// Bytes that dtype and shape ask for.
uint64_t entry_bytes(const SafetensorsEntry& entry, const std::string& where) {
  uint64_t bits = 1;
  bool fits = true;
  for (uint64_t extent : entry.shape) fits = fits && multiply(bits, extent);
  fits = fits && multiply(bits, static_cast<uint64_t>(find_dtype(entry.dtype)->second));
  if (!fits) invalid(where, "a shape whose size fits 64 bits", "an overflow");
  if (bits % 8 != 0) invalid(where, "whole bytes", fmt::format("{} bits", bits));
  return bits / 8;
}

/// Entries sorted by their place must follow each other without hole or overlap and end where the file ends.
void check_layout(const SafetensorsHeader& header, uint64_t data_bytes, std::string_view where) {
  std::vector<const std::pair<const std::string, SafetensorsEntry>*> sorted;
  for (const auto& entry : header.entries) sorted.push_back(&entry);
  std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) {
    return std::tie(a->second.begin, a->second.end, a->first) < std::tie(b->second.begin, b->second.end, b->first);
  });
  uint64_t at = 0;
  for (const auto* item : sorted) {
    const auto& [name, entry] = *item;
    const std::string place = fmt::format("{}: {}", where, printable(name));
    if (entry.begin != at || entry.end < entry.begin)
      invalid(place, fmt::format("data_offsets that start at {}", at), fmt::format("[{}, {}]", entry.begin, entry.end));
    at = entry.end;
    if (const uint64_t bytes = entry_bytes(entry, place); entry.end - entry.begin != bytes)
      invalid(place, fmt::format("{} bytes of data for its dtype and shape", bytes), fmt::format("{}", entry.end - entry.begin));
  }
  if (at != data_bytes) invalid(where, fmt::format("{} bytes of data behind the header", at), fmt::format("{}", data_bytes));
}

}  // namespace

SafetensorsHeader parse_safetensors(std::span<const std::byte> file, std::string_view where) {
  if (file.size() < kLengthBytes) invalid(where, "at least 8 bytes", fmt::format("{} bytes", file.size()));
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= std::to_integer<uint64_t>(file[i]) << (8 * i);
  if (length > kMaxHeader) invalid(where, fmt::format("a header of at most {} bytes", kMaxHeader), fmt::format("{}", length));
  if (length > file.size() - kLengthBytes)
    invalid(where, fmt::format("a header of at most {} bytes, what the file holds", file.size() - kLengthBytes), fmt::format("{}", length));
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (!utf8_valid(text)) invalid(where, "a header in UTF-8", "other bytes");
  // The JSON reader would skip a byte order mark and stop at a zero byte; the format knows neither.
  if (text.starts_with("\xef\xbb\xbf")) invalid(where, "a JSON header", "a byte order mark");
  if (text.find('\0') != std::string_view::npos) invalid(where, "a JSON header", "a zero byte in it");
  SafetensorsHeader header;
  header.data_offset = kLengthBytes + length;
  HeaderReader reader(where, header);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  check_layout(header, file.size() - header.data_offset, where);
  return header;
}

}  // namespace attune
