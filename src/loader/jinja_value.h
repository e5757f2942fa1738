#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace attune::jinja {

/// A failed operation inside a template. The renderer turns it into an Error that names the line.
struct Mistake {
  std::string expected;
  std::string got;
};

[[noreturn]] void mistake(std::string expected, std::string got);

/// What one rendering may use. Every loop over data and every copy pays, so a hostile template ends with an error.
struct Budget {
  uint64_t max_steps = 10'000'000;
  uint64_t max_text_bytes = 64u << 20;
  uint64_t max_items = 1'000'000;
  uint64_t steps = 0;

  /// Pays `n` steps; throws Mistake when they are used up.
  void charge(uint64_t n = 1);
  /// Pays for reading or writing `bytes` bytes of text.
  void charge_bytes(uint64_t bytes) { charge(1 + bytes / 64); }
};

/// Containers nest at most this deep, so that recursion over a value is bounded.
inline constexpr int kMaxValueDepth = 100;

class Value;
struct Function;
struct LoopState;

/// A string: UTF-8 bytes and their number of code points (Python's len()).
struct Text {
  std::string bytes;
  size_t length = 0;
  bool escaped = false;  ///< made by the filters `safe` and `escape`: text added to it is escaped first
  bool ascii() const { return length == bytes.size(); }
};

/// Lists, tuples, dict views and one-shot iterators differ only in what may be done with them.
enum class Flavor : uint8_t { list, tuple, keys, values, pairs, iterator };

struct Sequence {
  Flavor flavor = Flavor::list;
  std::vector<Value> items;
  int depth = 1;
  mutable size_t next = 0;  ///< first item not yet consumed; only iterators advance it
};

/// A mapping that keeps insertion order.
class Dict {
 public:
  /// The value of `key`, null when absent; an unhashable key is a Mistake.
  const Value* find(const Value& key) const;
  const Value* find_name(std::string_view key) const;
  void set(const Value& key, Value value);
  const std::vector<std::pair<Value, Value>>& items() const { return items_; }
  int depth() const { return depth_; }

 private:
  std::vector<std::pair<Value, Value>> items_;
  std::unordered_map<std::string, size_t> index_;
  int depth_ = 1;
};

/// The mutable record of `namespace()`; the renderer owns them all, values only point at them.
struct Namespace {
  Dict attributes;
};

struct Range {
  int64_t start = 0, stop = 0, step = 1;
  int64_t size() const;
  int64_t at(int64_t i) const { return start + i * step; }
};

struct Undefined {
  std::shared_ptr<const std::string> what;  ///< what was looked for, for the message of a later failure
};

struct None {
  friend bool operator==(None, None) { return true; }
};

/// A value with Python's meaning. Cheap to copy; containers are shared and never change.
class Value {
 public:
  enum class Kind : uint8_t { undefined, none, boolean, integer, real, text, sequence, dict, range, record, loop, function };

  Value() = default;  // undefined
  Value(None) : data_(None{}) {}
  Value(bool b) : data_(b) {}
  Value(int64_t i) : data_(i) {}
  Value(double d) : data_(d) {}
  Value(std::string s);
  Value(std::string_view s) : Value(std::string(s)) {}
  Value(const char* s) : Value(std::string(s)) {}
  Value(std::shared_ptr<const Dict> d) : data_(std::move(d)) {}
  Value(Range r) : data_(r) {}
  Value(Namespace* n) : data_(n) {}
  Value(LoopState* l) : data_(l) {}
  Value(std::shared_ptr<const Function> f) : data_(std::move(f)) {}

  static Value undefined(std::string what);
  static Value escaped(std::string s);
  static Value sequence(std::vector<Value> items, Flavor flavor = Flavor::list);

  Kind kind() const { return static_cast<Kind>(data_.index()); }
  bool is(Kind k) const { return kind() == k; }
  bool is_undefined() const { return is(Kind::undefined); }
  /// A variable that has never been set.
  bool is_unset() const { return is_undefined() && !std::get<Undefined>(data_).what; }
  bool is_none() const { return is(Kind::none); }
  bool is_text() const { return is(Kind::text); }
  bool is_list() const { return is_flavor(Flavor::list); }
  bool is_flavor(Flavor f) const { return is(Kind::sequence) && items().flavor == f; }
  /// True for bool and int, as in Python.
  bool is_integral() const { return is(Kind::integer) || is(Kind::boolean); }
  bool is_number() const { return is_integral() || is(Kind::real); }

  bool boolean() const { return std::get<bool>(data_); }
  int64_t integer() const { return is(Kind::boolean) ? int64_t{boolean()} : std::get<int64_t>(data_); }
  double real() const { return is(Kind::real) ? std::get<double>(data_) : static_cast<double>(integer()); }
  const Text& text() const { return *std::get<std::shared_ptr<const Text>>(data_); }
  const std::string& bytes() const { return text().bytes; }
  const Sequence& items() const { return *std::get<std::shared_ptr<const Sequence>>(data_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(data_); }
  const Range& range() const { return std::get<Range>(data_); }
  Namespace& record() const { return *std::get<Namespace*>(data_); }
  LoopState& loop() const { return *std::get<LoopState*>(data_); }
  const Function& function() const { return *std::get<std::shared_ptr<const Function>>(data_); }

  /// What an undefined value stands for, as it reads in messages.
  std::string undefined_text() const;
  /// Address that tells two containers or functions apart; null for plain values.
  const void* identity() const;
  /// Nesting of containers: 0 for a plain value.
  int depth() const;

 private:
  std::variant<Undefined, None, bool, int64_t, double, std::shared_ptr<const Text>, std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>,
               Range, Namespace*, LoopState*, std::shared_ptr<const Function>>
      data_;
};

/// Python's name of the type, for messages: "str", "list", "Undefined", …
std::string_view type_name(const Value& v);

/// Python's bool().
bool truth(const Value& v);

/// Python's ==. Pays for what it compares.
bool equal(const Value& a, const Value& b, Budget& budget);

/// Python's < (and with `or_equal` its <=); a Mistake for types without an order.
bool less(const Value& a, const Value& b, bool or_equal, Budget& budget);

/// Python's len(), nothing where it has none.
std::optional<int64_t> length_of(const Value& v);

/// Bytes that are equal for equal keys (1, 1.0 and True are one key); nothing for unhashable values.
std::optional<std::string> hash_key(const Value& v);

}  // namespace attune::jinja
