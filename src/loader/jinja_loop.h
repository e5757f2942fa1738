#pragma once

#include <functional>
#include <optional>

#include "loader/jinja_value.h"

namespace attune::jinja {

/// Walks over anything that can be iterated, as Python's iter() does; a Mistake for anything else.
class Cursor {
 public:
  explicit Cursor(Value source);

  /// True if iter() works on `v`.
  static bool can_walk(const Value& v);

  /// The next item; false at the end.
  bool next(Value& item);

 private:
  Value source_;
  size_t at_ = 0;
};

/// All items of an iterable, each one paid for.
std::vector<Value> items_of(const Value& source, Budget& budget);

/// The `loop` variable of one running for statement. Items are pulled and tested one by one, as the body may change what
/// the test sees.
struct LoopState {
 public:
  using Test = std::function<bool(const Value&)>;

  LoopState(const Value& source, Test test) : source_(source), cursor_(source), test_(std::move(test)) {}

  /// Moves to the next item.
  bool next(Value& item);

  /// Ends the loop: what outlives it has no further items.
  void close();

  int64_t index0() const { return index0_; }
  int64_t length();
  bool last() { return !peek(); }
  Value previous_item() const;
  Value next_item();
  /// True if `values` differ from those of the last call.
  bool changed(const Value& values, Budget& budget);

 private:
  bool peek();
  bool pull(Value& item);

  Value source_;
  Cursor cursor_;
  Test test_;
  int64_t index0_ = -1;
  std::optional<int64_t> length_;
  std::optional<Value> after_, current_, before_, seen_;
};

}  // namespace attune::jinja
