#include "loader/jinja_loop.h"

#include "core/utf8.h"

namespace attune::jinja {

bool Cursor::can_walk(const Value& v) {
  switch (v.kind()) {
    case Value::Kind::undefined:
    case Value::Kind::text:
    case Value::Kind::sequence:
    case Value::Kind::dict:
    case Value::Kind::range:
    case Value::Kind::loop: return true;
    default: return false;
  }
}

Cursor::Cursor(Value source) : source_(std::move(source)) {
  if (!can_walk(source_) || source_.is(Value::Kind::loop)) mistake("something to iterate over", std::string(type_name(source_)));
}

bool Cursor::next(Value& item) {
  switch (source_.kind()) {
    case Value::Kind::text: {
      const std::string_view rest = std::string_view(source_.bytes()).substr(at_);
      if (rest.empty()) return false;
      const size_t size = utf8_sequence(rest);
      item = Value(rest.substr(0, size));
      at_ += size;
      return true;
    }
    case Value::Kind::sequence: {
      const Sequence& s = source_.items();
      size_t& at = s.flavor == Flavor::iterator ? s.next : at_;
      if (at >= s.items.size()) return false;
      item = s.items[at++];
      return true;
    }
    case Value::Kind::dict:
      if (at_ >= source_.dict().items().size()) return false;
      item = source_.dict().items()[at_++].first;
      return true;
    case Value::Kind::range:
      if (static_cast<int64_t>(at_) >= source_.range().size()) return false;
      item = Value(source_.range().at(static_cast<int64_t>(at_++)));
      return true;
    default: return false;  // an undefined value is empty
  }
}

std::vector<Value> items_of(const Value& source, Budget& budget) {
  std::vector<Value> out;
  Cursor cursor(source);
  for (Value item; cursor.next(item);) {
    budget.charge();
    out.push_back(std::move(item));
  }
  return out;
}

bool LoopState::pull(Value& item) {
  while (cursor_.next(item)) {
    if (!test_ || test_(item)) return true;
  }
  return false;
}

bool LoopState::peek() {
  if (after_) return true;
  Value item;
  if (!pull(item)) return false;
  after_ = std::move(item);
  return true;
}

bool LoopState::next(Value& item) {
  if (!peek()) return false;
  ++index0_;
  before_ = std::move(current_);
  current_ = std::move(after_);
  after_.reset();
  item = *current_;
  return true;
}

void LoopState::close() {
  if (!test_) return;  // the test sees variables that end with the loop's function
  test_ = nullptr;
  cursor_ = Cursor(Value());
  if (!length_) length_ = index0_ + 1;
}

int64_t LoopState::length() {
  if (!length_ && !test_) length_ = length_of(source_);
  if (!length_) {
    std::vector<Value> rest;
    for (Value item; pull(item);) rest.push_back(std::move(item));
    length_ = static_cast<int64_t>(rest.size()) + index0_ + 1 + (after_ ? 1 : 0);
    cursor_ = Cursor(Value::sequence(std::move(rest)));
    test_ = nullptr;
  }
  return *length_;
}

Value LoopState::previous_item() const { return index0_ > 0 && before_ ? *before_ : Value::undefined("the previous item of a loop"); }

Value LoopState::next_item() { return peek() ? *after_ : Value::undefined("the next item of a loop"); }

bool LoopState::changed(const Value& values, Budget& budget) {
  if (seen_ && equal(*seen_, values, budget)) return false;
  seen_ = values;
  return true;
}

}  // namespace attune::jinja
