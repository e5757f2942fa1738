#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <string_view>

#include "core/error.h"

namespace attune::cuda {

/// The calling thread's device.
inline int current_device(std::string_view kernel) {
  int device = 0;
  if (const cudaError_t e = cudaGetDevice(&device); e != cudaSuccess) fail(ErrorCode::device_error, kernel, "success", cudaGetErrorString(e));
  return device;
}

/// What a process keeps for each device: made when a device first asks, and never taken down, as at exit the driver may have gone before.
template <class T>
class PerDevice {
 public:
  template <class Make>
  const T& of(int device, Make make) {
    const std::lock_guard lock(mutex_);
    const auto found = all_.find(device);
    return found != all_.end() ? found->second : all_.emplace(device, make()).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<int, T>& all_ = *new std::map<int, T>;
};

}  // namespace attune::cuda
