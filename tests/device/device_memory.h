#pragma once

// Memory of the CUDA device for its test programs.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "core/dtype.h"
#include "core/error.h"

namespace attune::device_test {

inline constexpr int64_t kMargin = 256;

inline int64_t bytes_of(DType t, int64_t elements) { return static_cast<int64_t>(size_of(t)) * elements; }

/// Throws DeviceError unless the runtime said success.
inline void check(cudaError_t error, std::string_view what) {
  if (error != cudaSuccess) fail(ErrorCode::device_error, what, "success", cudaGetErrorString(error));
}

/// Throws DeviceError unless it holds.
inline void expect(bool holds, std::string_view what) {
  if (!holds) fail(ErrorCode::device_error, "device test", what, "otherwise");
}

struct Free {
  void operator()(uint8_t* p) const { cudaFree(p); }
};
using DeviceMemory = std::unique_ptr<uint8_t, Free>;

inline DeviceMemory allocate(int64_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, static_cast<size_t>(bytes)), "cudaMalloc");
  return DeviceMemory(static_cast<uint8_t*>(p));
}

/// A host array's copy on the device between margins, `shift` bytes off the alignment of allocations. A null array stays null.
class DeviceArray {
 public:
  DeviceArray(const void* host, int64_t bytes, int64_t shift = 0) : front_(kMargin + shift) {
    if (host == nullptr) return;
    image_.assign(static_cast<size_t>(front_ + bytes + kMargin), 0xa5);
    if (bytes > 0) std::memcpy(image_.data() + front_, host, static_cast<size_t>(bytes));
    memory_ = allocate(front_ + bytes + kMargin);
    refill();
  }
  void refill() const { check(cudaMemcpy(memory_.get(), image_.data(), image_.size(), cudaMemcpyHostToDevice), "copy to the device"); }
  template <class T>
  T* data() const {
    return memory_ ? reinterpret_cast<T*>(memory_.get() + front_) : nullptr;
  }
  /// Contents now; checks the margins.
  std::vector<uint8_t> contents() const {
    if (!memory_) return {};
    std::vector<uint8_t> now(image_.size());
    check(cudaMemcpy(now.data(), memory_.get(), now.size(), cudaMemcpyDeviceToHost), "copy from the device");
    const bool front = std::equal(now.begin(), now.begin() + front_, image_.begin());
    expect(front && std::equal(now.end() - kMargin, now.end(), image_.end() - kMargin), "margins untouched");
    return {now.begin() + front_, now.end() - kMargin};
  }
  bool untouched() const {
    return contents() == std::vector<uint8_t>(image_.begin() + (memory_ ? front_ : 0), image_.end() - (memory_ ? kMargin : 0));
  }

 private:
  int64_t front_;
  std::vector<uint8_t> image_;
  DeviceMemory memory_;
};

}  // namespace attune::device_test
