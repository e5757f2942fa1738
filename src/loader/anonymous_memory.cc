#include "loader/anonymous_memory.h"

#include <sys/mman.h>

#include <cstdint>
#include <utility>

#include "core/error.h"

namespace attune {

namespace {
constexpr size_t kHugePage = size_t{2} << 20;
}

AnonymousMemory::AnonymousMemory(size_t bytes) : size_(bytes) {
  const bool huge = bytes >= kHugePage;
  const size_t whole = bytes == 0 ? 1 : bytes;
  // A mapping of whole pages; room to start it at a huge page, as older kernels do not align it themselves.
  mapped_ = huge ? (whole + kHugePage - 1) / kHugePage * kHugePage + kHugePage : whole;
  if (mapped_ < whole) fail(ErrorCode::out_of_memory, "memory", "a size that fits the address space", fmt::format("{} bytes", bytes));
  mapping_ = ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;
    fail(ErrorCode::out_of_memory, "memory", fmt::format("{} bytes", bytes), "none from the system");
  }
  data_ = mapping_;
  if (!huge) return;
  data_ = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(mapping_) + kHugePage - 1) / kHugePage * kHugePage);
  ::madvise(data_, mapped_ - kHugePage, MADV_HUGEPAGE);
}

AnonymousMemory::AnonymousMemory(AnonymousMemory&& other) noexcept
    : mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_(std::exchange(other.mapped_, 0)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

AnonymousMemory& AnonymousMemory::operator=(AnonymousMemory&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_, other.mapped_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AnonymousMemory::~AnonymousMemory() {
  if (mapping_) ::munmap(mapping_, mapped_);
}

}  // namespace attune
