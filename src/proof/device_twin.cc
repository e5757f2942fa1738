#include "proof/device_twin.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace attune {
namespace {

constexpr size_t kRound = size_t{1} << 20, kMostKept = size_t{1} << 30;

/// The first offset ≥ `least` that lies as far off a multiple of `unit` as `address` does.
size_t same_alignment(size_t least, const void* address, size_t unit) {
  const size_t off = reinterpret_cast<uintptr_t>(address) % unit;
  return least + (off + unit - least % unit) % unit;
}

bool all_poison(const uint8_t* first, const uint8_t* last, uint8_t poison) {
  return std::all_of(first, last, [poison](uint8_t b) { return b == poison; });
}

}  // namespace

Buffer CaseDevice::take(size_t bytes, std::vector<Buffer>& kept, bool pinned) {
  const auto fits = [bytes](const Buffer& b) { return b.bytes() >= bytes; };
  auto best = kept.end();
  for (auto it = kept.begin(); it != kept.end(); ++it)
    if (fits(*it) && (best == kept.end() || it->bytes() < best->bytes())) best = it;
  if (best != kept.end()) {
    Buffer out = std::move(*best);
    kept.erase(best);
    return out;
  }
  const size_t rounded = (std::max<size_t>(bytes, 1) + kRound - 1) / kRound * kRound;
  return pinned ? device_.allocate_pinned(rounded, "copies of a case's tensors") : device_.allocate(rounded, "a case's tensors");
}

void CaseDevice::give(Buffer memory, std::vector<Buffer>& kept) {
  if (memory.bytes() > 0 && memory.bytes() <= kMostKept) kept.push_back(std::move(memory));
  constexpr size_t kMostBuffers = 8;
  if (kept.size() <= kMostBuffers) return;
  kept.erase(std::min_element(kept.begin(), kept.end(), [](const Buffer& a, const Buffer& b) { return a.bytes() < b.bytes(); }));
}

DeviceTwin::DeviceTwin(CaseDevice& device, Memory& memory) : site_(device), memory_(&memory), places_(memory.pieces().size()) {
  bytes_ = lay_out();
  arena_ = site_.take(bytes_);
  staging_ = site_.take_pinned(bytes_);
}

DeviceTwin::~DeviceTwin() {
  site_.give(std::move(arena_));
  site_.give_pinned(std::move(staging_));
  for (Place& p : places_) site_.give(std::move(p.own));
}

size_t DeviceTwin::lay_out() {
  size_t at = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    const Memory::Piece& piece = *memory_->pieces()[i];
    const size_t bytes = piece.buffer.bytes();
    if (piece.sparse) {
      places_[i].offset = same_alignment(kMargin, piece.buffer.data(), kUnit);
      places_[i].own = site_.take(places_[i].offset + bytes + kMargin);
    } else {
      places_[i].offset = same_alignment(at + kMargin, piece.buffer.data(), kUnit);
      at = places_[i].offset + bytes + kMargin;
    }
  }
  return at;
}

void DeviceTwin::rebind(Memory& memory) {
  bool same = memory.pieces().size() == places_.size();
  for (size_t i = 0; same && i < places_.size(); ++i)
    same = memory.pieces()[i]->buffer.bytes() == memory_->pieces()[i]->buffer.bytes() && memory.pieces()[i]->name == memory_->pieces()[i]->name;
  if (!same) fail(ErrorCode::internal, "proof device", "tensors of equal sizes for a captured graph", "others");
  memory_ = &memory;
}

uint8_t* DeviceTwin::data_of(size_t index) const {
  const Place& place = places_[index];
  return (memory_->pieces()[index]->sparse ? place.own : arena_).as<uint8_t>() + place.offset;
}

/// Launches follow.
void DeviceTwin::upload() {
  site_.device().make_current();
  uint8_t* image = staging_.as<uint8_t>();
  size_t at = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    const Memory::Piece& piece = *memory_->pieces()[i];
    if (piece.sparse) {
      upload_sparse(i);
      continue;
    }
    const size_t first = places_[i].offset, bytes = piece.buffer.bytes();
    std::memset(image + at, poison_byte(piece.dtype), first - at);
    if (bytes > 0) std::memcpy(image + first, piece.buffer.data(), bytes);
    std::memset(image + first + bytes, poison_byte(piece.dtype), kMargin);
    at = first + bytes + kMargin;
  }
  site_.device().copy(arena_.data(), image, bytes_, site_.stream());
  site_.device().synchronize(site_.stream());
}

void DeviceTwin::upload_sparse(size_t index) {
  const Memory::Piece& piece = *memory_->pieces()[index];
  const Place& place = places_[index];
  site_.device().fill(place.own.data(), poison_byte(piece.dtype), place.offset + piece.buffer.bytes() + kMargin, site_.stream());
  for (const Memory::Range& r : piece.watched)
    site_.device().copy(data_of(index) + r.first, piece.buffer.data() + r.first, r.last - r.first, site_.stream());
}

std::string DeviceTwin::download() {
  uint8_t* image = staging_.as<uint8_t>();
  site_.device().copy(image, arena_.data(), bytes_, site_.stream());
  site_.device().synchronize(site_.stream());
  std::string damaged;
  size_t at = 0;
  for (size_t i = 0; i < places_.size(); ++i) {
    const Memory::Piece& piece = *memory_->pieces()[i];
    if (piece.sparse) {
      if (const std::string name = download_sparse(i); damaged.empty()) damaged = name;
      continue;
    }
    const size_t first = places_[i].offset, bytes = piece.buffer.bytes();
    const uint8_t poison = poison_byte(piece.dtype);
    const bool whole = all_poison(image + at, image + first, poison) && all_poison(image + first + bytes, image + first + bytes + kMargin, poison);
    if (!whole && damaged.empty()) damaged = piece.name;
    if (bytes > 0) std::memcpy(piece.buffer.data(), image + first, bytes);
    at = first + bytes + kMargin;
  }
  return damaged;
}

std::string DeviceTwin::download_sparse(size_t index) {
  const Memory::Piece& piece = *memory_->pieces()[index];
  const Place& place = places_[index];
  for (const Memory::Range& r : piece.watched)
    site_.device().copy(piece.buffer.data() + r.first, data_of(index) + r.first, r.last - r.first, site_.stream());
  std::vector<uint8_t> before(place.offset), after(kMargin);
  site_.device().copy(before.data(), place.own.data(), before.size(), site_.stream());
  site_.device().copy(after.data(), data_of(index) + piece.buffer.bytes(), after.size(), site_.stream());
  site_.device().synchronize(site_.stream());
  const uint8_t poison = poison_byte(piece.dtype);
  const bool whole =
      all_poison(before.data(), before.data() + before.size(), poison) && all_poison(after.data(), after.data() + after.size(), poison);
  return whole ? "" : piece.name;
}

const void* DeviceTwin::find(const void* host) const {
  const auto* byte = static_cast<const uint8_t*>(host);
  const void* at_end = nullptr;
  for (size_t i = 0; i < places_.size(); ++i) {
    const GuardedBuffer& buffer = memory_->pieces()[i]->buffer;
    if (byte < buffer.data() || byte > buffer.data() + buffer.bytes()) continue;
    const void* found = data_of(i) + (byte - buffer.data());
    if (byte < buffer.data() + buffer.bytes() || buffer.bytes() == 0) return found;
    at_end = found;
  }
  return at_end;
}

const void* find_in(std::span<DeviceTwin* const> twins, const void* host) {
  if (host == nullptr) return nullptr;
  for (const DeviceTwin* twin : twins)
    if (const void* found = twin->find(host)) return found;
  fail(ErrorCode::internal, "proof device", "a pointer to a tensor of the case", "another one");
}

}  // namespace attune
