#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace attune {

/// Zeroed memory from the system in whole pages, huge ones where it can: pages cost nothing until they are touched.
class Buffer {
 public:
  Buffer() = default;
  /// Throws OutOfMemory, naming `what` and the bytes.
  Buffer(size_t bytes, const char* what);
  ~Buffer();
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace attune
