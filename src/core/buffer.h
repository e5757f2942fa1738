#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace attune {

/// Memory with one owner: zeroed pages of the system (huge ones where it can; they cost nothing until touched), or what a device has allocated.
class Buffer {
 public:
  using Release = void (*)(void* data, size_t bytes);

  Buffer() = default;
  /// Pages of the system. Throws OutOfMemory, naming `what` and the bytes.
  Buffer(size_t bytes, const char* what);
  /// Takes over memory that `release` gives back.
  Buffer(void* data, size_t bytes, Release release) : data_(data), bytes_(bytes), release_(release) {}
  ~Buffer();
  Buffer(Buffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)), release_(o.release_) {}
  Buffer& operator=(Buffer&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    std::swap(release_, o.release_);
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
  Release release_ = nullptr;
};

}  // namespace attune
