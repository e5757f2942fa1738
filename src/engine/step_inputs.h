#pragma once

#include <cstring>
#include <span>

#include "device/runtime.h"

namespace attune {

/// The integers of a step, laid side by side in pinned memory and copied to the device in one go. On the CPU both are the same memory.
class StepInputs {
 public:
  /// Room for `bytes`.
  StepInputs(Device& device, size_t bytes);

  /// Starts a step: waits until the copy of the step before is done.
  void clear();

  /// Appends an array; where it will stand on the device. Equal sizes in equal order give equal addresses.
  template <class T>
  const T* add(std::span<const T> values) {
    T* host = reserve<T>(values.size());
    if (!values.empty()) std::memcpy(host, values.data(), values.size_bytes());
    return on_device(host);
  }

  /// Appends `count` elements to be written by the caller, in host memory.
  template <class T>
  T* reserve(size_t count) {
    return reinterpret_cast<T*>(take(count * sizeof(T)));
  }
  template <class T>
  T* on_device(const T* host) const {
    return reinterpret_cast<T*>(device_base() + (reinterpret_cast<const char*>(host) - host_.as<char>()));
  }

  /// Copies the arrays, in the order of the stream; from `first` on where the device keeps what stands before it.
  void upload(const Stream& stream, const void* first = nullptr);

  /// The same in a stream of their own, as soon as `read` is past, which says that nobody needs the arrays before; `stream` waits for them.
  void upload_beside(const Stream& stream, const Event& read, const void* first);

 private:
  char* take(size_t bytes);
  void copy(const Stream& stream, const void* first);
  char* device_base() const { return twin_.data() ? twin_.as<char>() : host_.as<char>(); }

  Device& device_;
  Buffer host_, twin_;
  Event uploaded_;
  Stream beside_;
  size_t used_ = 0;
  bool in_flight_ = false;
};

}  // namespace attune
