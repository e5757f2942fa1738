#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace attune {

/// Memory between two pages that must not be touched; the bytes end right before the second (or begin right behind the first).
class Guarded {
 public:
  explicit Guarded(size_t bytes = 0, bool at_end = true) : bytes_(bytes) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), body = (bytes + page - 1) / page * page;
    mapped_ = body + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED) throw std::runtime_error("mmap");
    if (body != 0 && mprotect(base_ + page, body, PROT_READ | PROT_WRITE) != 0) throw std::runtime_error("mprotect");
    data_ = base_ + page + (at_end ? body - bytes : 0);
  }
  ~Guarded() { munmap(base_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  void fill(uint8_t byte) { std::memset(data_, byte, bytes_); }
  size_t bytes() const { return bytes_; }
  char* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  size_t bytes_, mapped_ = 0;
  char *base_ = nullptr, *data_ = nullptr;
};

}  // namespace attune
