#pragma once

#include <functional>

#include "device/runtime.h"

namespace attune {

class ThreadPool;

/// Brings memory of the host to a device: all threads write a piece into pinned memory while the pieces before it are on their way. To the CPU they
/// write at the target itself.
class Upload {
 public:
  /// Writes bytes [first, first + bytes) of what is sent to `to`. Called by several threads; must not throw.
  using Write = std::function<void(void* to, size_t first, size_t bytes)>;

  /// `pool` may be null: the caller alone writes. Both must outlive the upload.
  Upload(Device& device, ThreadPool* pool) : device_(device), pool_(pool) {}

  /// Returns when all is written, not when it has arrived: what `write` reads may go then. Parts begin at multiples of 64 bytes.
  void send(void* to, size_t bytes, const Write& write);
  void send(void* to, const void* from, size_t bytes);

  /// Waits until everything has arrived; the pinned memory goes.
  void finish();

 private:
  struct Stage {
    Buffer memory;
    Event sent;
    bool on_its_way = false;
  };
  void write_parts(void* to, size_t first, size_t bytes, const Write& write);
  Stage& next_stage();

  Device& device_;
  ThreadPool* pool_;
  Stream stream_;
  std::vector<Stage> stages_;
  size_t turn_ = 0;
};

}  // namespace attune
