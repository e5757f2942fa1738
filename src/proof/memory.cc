#include "proof/memory.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace attune {

void* Memory::add_bytes(std::string name, DType dtype, size_t bytes, size_t align, bool sparse) {
  pieces_.push_back(std::make_unique<Piece>(std::move(name), dtype, bytes, align, guard_, sparse));
  return pieces_.back()->buffer.data();
}

const Memory::Piece& Memory::piece_of(const void* data) const {
  for (const auto& p : pieces_)
    if (p->buffer.data() == data) return *p;
  fail(ErrorCode::internal, "proof memory", "a tensor that was added", "an unknown one");
}

const std::string& Memory::name_of(const void* data) const { return piece_of(data).name; }

void Memory::may_write(const void* data, int64_t first, int64_t count) {
  auto& piece = const_cast<Piece&>(piece_of(data));
  const size_t size = size_of(piece.dtype);
  const Range range{static_cast<size_t>(first) * size, static_cast<size_t>(first + count) * size};
  if (range.first == range.last) return;
  if (!piece.writable.empty() && piece.writable.back().last == range.first)
    piece.writable.back().last = range.last;
  else
    piece.writable.push_back(range);
}

void Memory::poison(const void* data, int64_t first, int64_t count) {
  auto& piece = const_cast<Piece&>(piece_of(data));
  const size_t size = size_of(piece.dtype);
  const Range range{static_cast<size_t>(first) * size, static_cast<size_t>(first + count) * size};
  std::memset(piece.buffer.data() + range.first, poison_byte(piece.dtype), range.last - range.first);
  piece.watched.push_back(range);
}

void Memory::freeze() {
  for (auto& p : pieces_) {
    p->before.clear();
    for (const Range& r : p->watched) p->before.insert(p->before.end(), p->buffer.data() + r.first, p->buffer.data() + r.last);
  }
}

void Memory::restore() {
  for (auto& p : pieces_) {
    const uint8_t* from = p->before.data();
    for (const Range& r : p->watched) {
      std::copy(from, from + (r.last - r.first), p->buffer.data() + r.first);
      from += r.last - r.first;
    }
  }
}

std::string Memory::damage() const {
  for (const auto& p : pieces_) {
    if (!p->buffer.surroundings_untouched()) return p->name + ", outside its memory";
    const uint8_t* now = p->buffer.data();
    const uint8_t* before = p->before.data();
    auto writable = p->writable.begin();
    for (const Range& watched : p->watched) {
      size_t at = watched.first;
      const auto first_change = [&](size_t last) {
        const uint8_t* then = before + (at - watched.first);
        if (last <= at || std::memcmp(now + at, then, last - at) == 0) return size_t{SIZE_MAX};
        return static_cast<size_t>(std::mismatch(now + at, now + last, then).first - now);
      };
      for (; writable != p->writable.end() && writable->first < watched.last; ++writable) {
        if (const size_t byte = first_change(writable->first); byte != SIZE_MAX) return fmt::format("{}, byte {}", p->name, byte);
        at = writable->last;
      }
      if (const size_t byte = first_change(watched.last); byte != SIZE_MAX) return fmt::format("{}, byte {}", p->name, byte);
      before += watched.last - watched.first;
    }
  }
  return "";
}

std::vector<uint8_t> Memory::written() const {
  std::vector<uint8_t> out;
  for (const auto& p : pieces_)
    for (const Range& r : p->writable) out.insert(out.end(), p->buffer.data() + r.first, p->buffer.data() + r.last);
  return out;
}

}  // namespace attune
