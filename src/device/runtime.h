#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/buffer.h"
#include "device/device.h"

namespace attune {

/// A runtime's object with one owner: opaque to everybody but the runtime that made it.
class Handle {
 public:
  using Destroy = void (*)(void*);
  Handle() = default;
  Handle(void* p, Destroy destroy) : p_(p), destroy_(destroy) {}
  ~Handle() {
    if (p_) destroy_(p_);
  }
  Handle(Handle&& o) noexcept : p_(std::exchange(o.p_, nullptr)), destroy_(o.destroy_) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(p_, o.p_);
    std::swap(destroy_, o.destroy_);
    return *this;
  }
  void* get() const { return p_; }
  explicit operator bool() const { return p_ != nullptr; }

 private:
  void* p_ = nullptr;
  Destroy destroy_ = nullptr;
};

using Stream = Handle;  ///< work in order; get() is what ExecContext::stream carries
using Event = Handle;   ///< a point in a stream
using Graph = Handle;   ///< captured launches, ready to be replayed

/// A device that can be used: memory, streams, events, graphs. One file a runtime. Every call throws DeviceError with the runtime's text when the
/// device refuses or is lost; the device is then of no further use.
class Device {
 public:
  virtual ~Device() = default;
  virtual const DeviceProps& props() const = 0;

  /// Makes this the device that the calling thread launches on, where a runtime keeps one for each thread. Whoever launches kernels, and may be
  /// called from any thread or beside another device, begins with it. A device that is lost says so at the next call.
  virtual void make_current() noexcept {}

  /// Memory of the device, 256-byte aligned, its contents undefined. OutOfMemory names `what`, the bytes asked for and those free.
  virtual Buffer allocate(size_t bytes, const char* what) = 0;
  /// Memory of the host which copies reach without a detour.
  virtual Buffer allocate_pinned(size_t bytes, const char* what) = 0;
  /// Bytes of device memory that are free now.
  virtual size_t free_memory() = 0;

  virtual Stream make_stream() = 0;
  virtual Event make_event() = 0;
  virtual Event make_timer() = 0;  ///< an event whose time elapsed_us() tells; others are quicker

  /// Copies in the order of the stream; from or to pinned memory they return at once. Source and target may be of either side.
  virtual void copy(void* to, const void* from, size_t bytes, const Stream& stream) = 0;
  virtual void fill(void* to, uint8_t byte, size_t bytes, const Stream& stream) = 0;
  /// Waits for everything in the stream; a fault of a kernel shows here.
  virtual void synchronize(const Stream& stream) = 0;

  virtual void record(const Event& event, const Stream& stream) = 0;
  virtual void wait(const Event& event) = 0;                          ///< the host waits
  virtual void wait(const Stream& stream, const Event& event) = 0;    ///< what comes later in the stream waits
  virtual double elapsed_us(const Event& from, const Event& to) = 0;  ///< after wait(to)

  /// Launches between begin and end are recorded instead of run. end_capture throws if one of them cannot be captured.
  virtual void begin_capture(const Stream& stream) = 0;
  virtual Graph end_capture(const Stream& stream) = 0;
  virtual void replay(const Graph& graph, const Stream& stream) = 0;
};

/// OutOfMemory as allocate() says it: `what` for, the bytes asked for, free and missing.
[[noreturn]] void memory_is_short(std::string_view what, size_t bytes, std::string_view device, size_t free);
/// The same for allocate_pinned(): memory of the host, of which a driver may refuse some though it is free.
[[noreturn]] void host_memory_is_short(std::string_view what, size_t bytes);
/// OutOfMemory if the device has fewer bytes free: before several allocations, so that all that is missing is told.
void need_memory(Device& device, size_t bytes, std::string_view what);

/// The devices of this machine that this binary can use, the CPU first, then "cuda", "cuda:1", … A runtime or driver that is absent is no error.
const std::vector<DeviceProps>& present_devices();

/// Why present_devices() has no CUDA device: not built in, no driver, one that is too old, no GPU.
std::string cuda_absence();

/// Opens a device of present_devices(); any other record is NotSupported.
std::unique_ptr<Device> open_device(const DeviceProps& props);

/// For tests: from now on what open_device() opens is handed out as `wrap` makes it, such as a device that fails; null: as it is.
using WrapDevice = std::unique_ptr<Device> (*)(std::unique_ptr<Device>);
void wrap_devices(WrapDevice wrap);

namespace cuda {  // device/cuda.cc, in builds with CUDA
/// The devices the driver shows; `absence` is why there are none.
std::vector<DeviceProps> detect(std::string& absence);
std::unique_ptr<Device> open(const DeviceProps& props);
}  // namespace cuda

}  // namespace attune
