#include "proof/guarded_buffer.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"

namespace attune {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kSlack = 256;

uint8_t* align_down(uint8_t* p, size_t align) { return p - reinterpret_cast<uintptr_t>(p) % align; }

}  // namespace

GuardedBuffer::GuardedBuffer(size_t bytes, size_t align, Guard guard, uint8_t poison, bool sparse) : bytes_(bytes), poison_(poison) {
  if (guard == Guard::slack && !sparse) {
    const size_t total = bytes + 2 * kSlack + align;
    slack_ = std::make_unique_for_overwrite<uint8_t[]>(total);
    first_ = slack_.get();
    last_ = first_ + total;
    data_ = align_down(first_ + kSlack + align - 1, align);
  } else {
    const size_t inner = (bytes + align + kPage - 1) / kPage * kPage;
    mapped_ = inner + 2 * kPage;
    void* mapping = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) fail(ErrorCode::out_of_memory, "guarded buffer", fmt::format("{} bytes", mapped_), "no memory");
    mapping_ = static_cast<uint8_t*>(mapping);
    first_ = mapping_ + kPage;
    last_ = first_ + inner;
    if (mprotect(first_, inner, PROT_READ | PROT_WRITE) != 0) {
      munmap(mapping_, mapped_);
      fail(ErrorCode::out_of_memory, "guarded buffer", fmt::format("{} accessible bytes", inner), "no memory");
    }
    data_ = guard != Guard::before ? align_down(last_ - bytes, align) : first_;
  }
  if (sparse) {
    std::memset(first_, poison, static_cast<size_t>(data_ - first_));
    std::memset(data_ + bytes, poison, static_cast<size_t>(last_ - data_) - bytes);
  } else {
    std::memset(first_, poison, static_cast<size_t>(last_ - first_));
  }
}

GuardedBuffer::~GuardedBuffer() {
  if (mapping_ != nullptr) munmap(mapping_, mapped_);
}

void GuardedBuffer::fill(uint8_t byte) {
  if (bytes_ > 0) std::memset(data_, byte, bytes_);
}

bool GuardedBuffer::surroundings_untouched() const {
  const auto poisoned = [this](uint8_t b) { return b == poison_; };
  return std::all_of(first_, data_, poisoned) && std::all_of(data_ + bytes_, last_, poisoned);
}

}  // namespace attune
