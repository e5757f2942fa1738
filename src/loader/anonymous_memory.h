#pragma once

#include <cstddef>

namespace attune {

/// Zeroed memory of its own mapping, aligned to at least 64 bytes; huge pages are asked for where the size makes them useful.
class AnonymousMemory {
 public:
  AnonymousMemory() = default;
  /// OutOfMemory if the system gives none.
  explicit AnonymousMemory(size_t bytes);
  AnonymousMemory(AnonymousMemory&& other) noexcept;
  AnonymousMemory& operator=(AnonymousMemory&& other) noexcept;
  ~AnonymousMemory();

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* mapping_ = nullptr;
  size_t mapped_ = 0;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace attune
