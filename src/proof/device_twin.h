#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "device/runtime.h"
#include "proof/memory.h"

namespace attune {

/// An opened device that cases run on: one stream, and memory kept from case to case.
class CaseDevice {
 public:
  explicit CaseDevice(Device& device) : device_(device), stream_(device.make_stream()) {}

  Device& device() const { return device_; }
  const Stream& stream() const { return stream_; }

  /// Memory of at least `bytes`, which give() takes back. Contents undefined.
  Buffer take(size_t bytes) { return take(bytes, device_memory_, false); }
  Buffer take_pinned(size_t bytes) { return take(bytes, pinned_, true); }
  void give(Buffer memory) { give(std::move(memory), device_memory_); }
  void give_pinned(Buffer memory) { give(std::move(memory), pinned_); }

 private:
  Buffer take(size_t bytes, std::vector<Buffer>& kept, bool pinned);
  static void give(Buffer memory, std::vector<Buffer>& kept);

  Device& device_;
  Stream stream_;
  std::vector<Buffer> device_memory_, pinned_;
};

/// What launches run on: threads and the host's own tensors; or a device, and copies of them there.
struct LaunchSite {
  LaunchSite(ThreadPool& threads, CaseDevice* on = nullptr) : pool(&threads), device(on) {}
  ThreadPool* pool;
  CaseDevice* device;

  /// What Limits::threads says of it.
  int workers() const { return device ? device->device().props().cores : pool->size(); }
};

/// Copies of a problem's tensors on a device: each between poisoned margins and as far off a multiple of 256 bytes as the host's. Of a sparse
/// tensor only the watched ranges are copied; the rest is poison.
class DeviceTwin {
 public:
  DeviceTwin(CaseDevice& device, Memory& memory);
  ~DeviceTwin();
  DeviceTwin(const DeviceTwin&) = delete;
  DeviceTwin& operator=(const DeviceTwin&) = delete;

  /// From now on the copies are those of `memory`, whose tensors have the sizes of the first: the same places, other contents.
  void rebind(Memory& memory);

  /// Makes the copies equal the host's tensors; margins are poison again.
  void upload();

  /// Makes the host's tensors equal the copies. The tensor around which something was written, or nothing.
  std::string download();

  /// Where a byte of the host's tensors stands on the device; null for what is not of them.
  const void* find(const void* host) const;

 private:
  struct Place {
    size_t offset = 0;  ///< of the tensor's first byte, in the arena or in memory of its own
    Buffer own;         ///< sparse tensors
  };
  static constexpr size_t kMargin = 2048, kUnit = 256;

  size_t lay_out();
  uint8_t* data_of(size_t index) const;
  void upload_sparse(size_t index);
  std::string download_sparse(size_t index);

  CaseDevice& site_;
  Memory* memory_;
  std::vector<Place> places_;
  size_t bytes_ = 0;
  Buffer arena_, staging_;
};

/// The place of `host` in one of the twins; null stays null. Internal error for a pointer to anything else.
const void* find_in(std::span<DeviceTwin* const> twins, const void* host);

}  // namespace attune
