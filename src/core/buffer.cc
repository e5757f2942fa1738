#include "core/buffer.h"

#include <sys/mman.h>

#include "core/error.h"

namespace attune {

namespace {

constexpr size_t kHugePage = size_t{2} << 20;

void unmap(void* data, size_t bytes) { munmap(data, bytes); }

}  // namespace

Buffer::Buffer(size_t bytes, const char* what) {
  if (bytes == 0) return;
  const size_t unit = bytes >= kHugePage ? kHugePage : 4096;
  bytes_ = (bytes + unit - 1) / unit * unit;
  void* p = bytes_ >= bytes ? mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;
  if (p == MAP_FAILED) {
    bytes_ = 0;
    fail(ErrorCode::out_of_memory, what, fmt::format("{} bytes of memory", bytes), "none left");
  }
  data_ = p, release_ = unmap;
  madvise(data_, bytes_, MADV_HUGEPAGE);
}

Buffer::~Buffer() {
  if (data_) release_(data_, bytes_);
}

}  // namespace attune
